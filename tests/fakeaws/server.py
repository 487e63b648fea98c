"""The fakes over HTTP for a real boto3 client: JSON protocol, every answer checked.

Requests are parsed and answers validated with botocore's own service models, so that a fixture
cannot drift from the documented shapes.
"""

import json
import math
import sys
import threading
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore import xform_name
from botocore.session import Session
from botocore.validate import validate_parameters

from fakeaws.metrics import ServiceError

SERVICES = {
    "GraniteServiceVersion20100801": "cloudwatch",
    "SageMaker": "sagemaker",
    "AWSPriceListService": "pricing",
    "AmazonSQS": "sqs",
    "Logs_20140328": "logs",
    "XRay": "xray",
    "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101": "cloudtrail",
}

POLL_SECONDS = 0.02
"""How long closing may take; half a second is the default."""


@cache
def session():
    return Session()


@cache
def service_model(name):
    return session().get_service_model(name)


@cache
def rest_target(prefix, path):
    """The operation behind a path of a service that has no targets."""
    model = service_model(SERVICES[prefix])
    paths = {model.operation_model(o).http["requestUri"]: o for o in model.operation_names}
    return f"{prefix}.{paths[path]}" if path in paths else f"{path.strip('/')}."


class _Handler(BaseHTTPRequestHandler):
    """What the services have in common."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


class FakeAws:
    """Serves `backends` ({"cloudwatch": Metrics, ...}) on loopback; use as a context manager."""

    def __init__(self, **backends):
        self.backends = backends
        self.seen = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, target, body):
        """(status, document) of one request."""
        prefix, _, operation = target.rpartition(".")
        service = SERVICES.get(prefix)
        if service not in self.backends:
            return 400, _denied(target)
        model = service_model(service).operation_model(operation)
        self.seen.append(f"{service}:{operation}")
        request = _typed(json.loads(body or b"{}"), model.input_shape)
        try:
            found = getattr(self.backends[service], xform_name(operation))(**request)
        except ServiceError as error:
            return error.status, {
                "__type__": error.code,
                "__type": error.code,
                "message": error.message,
            }
        # Raises where the shape is not kept.
        validate_parameters(_sampled(found, model.output_shape), model.output_shape)
        return 200, found

    def object(self, path):
        """(operation, status, headers, body) of one GET to S3."""
        if "s3" in self.backends:
            return self.backends["s3"].get(path)
        body = json.dumps(_denied(path)).encode()
        return "GetObject", 403, {"Content-Length": str(len(body))}, body

    def head(self, path):
        """(status, headers) of one HEAD to S3."""
        return self.backends["s3"].head(path) if "s3" in self.backends else (403, {})

    def _handler(fake):  # noqa: N805 - the handler has a self of its own
        class Handler(_Handler):
            def do_POST(self):
                body = _body(self)
                if self.path.startswith("/api/v1/"):
                    self._promql("POST", body)
                    return
                target = self.headers["X-Amz-Target"] or rest_target("XRay", self.path)
                status, document = fake.answer(target, body)
                data = encoded(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(data)))
                if status != 200:
                    self.send_header("x-amzn-ErrorType", document["__type"])
                self.end_headers()
                self.wfile.write(data)

            def _promql(self, method, body):
                url = fake.url + self.path
                status, data = fake.backends["promql"].http(method, url, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if self.path.startswith("/api/v1/"):
                    self._promql("GET", b"")
                    return
                operation, status, headers, data = fake.object(self.path)
                fake.seen.append(f"s3:{operation}")
                self._begin(status, headers)
                self.wfile.write(data)
                # A body that is shorter than promised ends with the connection.
                self.close_connection = len(data) < int(headers["Content-Length"])

            def do_HEAD(self):
                fake.seen.append("s3:HeadObject")
                self._begin(*fake.head(self.path))

            def date_time_string(self, timestamp=None):
                """The service's own time, where a backend has one."""
                times = [getattr(one, "now", None) for one in fake.backends.values()]
                known = next((one for one in times if one is not None), timestamp)
                return super().date_time_string(known)

        return Handler


def _denied(what):
    """A service that the test has none of: nothing of it is allowed."""
    said = f"not authorized to perform: {what}"
    return {
        "__type__": "AccessDeniedException", "__type": "AccessDeniedException", "message": said,
    }  # fmt: skip


@cache
def _holding(shape, found):
    """Which members of a structure hold, anywhere below, a shape that is looked for.

    Most of a request or an answer holds none, and need not be walked through.
    """
    return {k: one for k, one in shape.members.items() if _holds(one, found, frozenset())}


def _holds(shape, found, above):
    if found(shape):
        return True
    if shape.type_name == "list":
        return _holds(shape.member, found, above)
    if shape.type_name != "structure" or shape.name in above:
        return False
    return any(_holds(one, found, above | {shape.name}) for one in shape.members.values())


def _time(shape):
    return shape.type_name == "timestamp"


def _typed(value, shape):
    """Timestamps as datetimes, wherever the model has them."""
    if shape is None or value is None:
        return value
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(float(value), UTC)
    if shape.type_name == "structure":
        timed = _holding(shape, _time)
        return {k: _typed(v, timed[k]) if k in timed else v for k, v in value.items()}
    if shape.type_name == "list":
        return [_typed(v, shape.member) for v in value]
    return value


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _body(handler):
    length = int(handler.headers.get("Content-Length", 0))
    body = handler.rfile.read(length)
    if len(body) < length:
        raise ConnectionAbortedError("the client died while it asked")
    return body


FREE = {"timestamp", "double", "float", "integer", "long", "boolean"}


def _free(shape):
    """A list of numbers or times that the model does not limit."""
    if shape.type_name != "list":
        return False
    return shape.member.type_name in FREE and not shape.member.metadata


def _sampled(value, shape):
    """The same answer with one value of each type in lists of numbers or times.

    Unless the model limits them, botocore checks nothing of those but the type.
    """
    if isinstance(value, dict) and shape.type_name == "structure":
        long = _holding(shape, _free)
        return {k: _sampled(v, long[k]) if k in long else v for k, v in value.items()}
    if not isinstance(value, list) or shape.type_name != "list":
        return value
    if not _free(shape):
        return [_sampled(v, shape.member) for v in value]
    return list(dict(zip(map(type, value), value, strict=True)).values())


class _Texts(dict):
    """JSON of numbers and times: the same few come by the million."""

    def __missing__(self, value):
        finite = isinstance(value, float) and math.isfinite(value)
        text = self[value] = repr(value) if finite else _text(value)
        return text


def _text(value):
    return json.dumps(value.timestamp() if isinstance(value, datetime) else value)


def encoded(document):
    """The document as JSON, times in seconds; a list that stands in it often is written once."""
    numbers, lists = _Texts(), {}

    def text(value):
        if isinstance(value, dict):
            return f"{{{', '.join(f'{json.dumps(k)}: {text(v)}' for k, v in value.items())}}}"
        if not isinstance(value, list):
            return _text(value)
        if id(value) not in lists:
            known = set(map(type, value)) in ({float}, {datetime})
            lists[id(value)] = f"[{', '.join(map(numbers.__getitem__ if known else text, value))}]"
        return lists[id(value)]

    return text(document)
