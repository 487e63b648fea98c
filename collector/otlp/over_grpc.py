"""OTLP over gRPC, in front of the same receiver: calls carry the bytes that HTTP would post.

Messages come and go as bytes, so that they are parsed in one place. An answer that is no 200
becomes its status, with the time to wait where there is one (google.rpc.RetryInfo). Source:
OpenTelemetry protocol specification, "OTLP/gRPC".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from nibai.errors import ConfigError
from nibai.protocols import Allowed, Listener, PushRequest, PushResponse, Receiver, Sink

PATHS = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "/v1/traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "/v1/metrics",
}
PROTOBUF = "application/x-protobuf"
WORKERS = 4
GRACE_SECONDS = 10.0

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}

Certificates = Callable[[], tuple[bytes, bytes, bytes | None]]
"""What they are now."""

Call = Callable[[bytes, grpc.ServicerContext], bytes]


class GrpcListener:
    """Serves a receiver at an address; with `allowed`, whoever calls must be."""

    def __init__(self, address: str, max_body: int, certificates: Certificates | None) -> None:
        self._address = address
        self._max_body = max_body
        self._certificates = certificates

    def listen(
        self, receiver: Receiver, sink: Sink, allowed: Allowed
    ) -> tuple[str, Callable[[], None]]:
        """Begin to serve: the address, and how to stop."""
        server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="nibai-grpc"),
            options=[
                ("grpc.max_receive_message_length", self._max_body),
                # Two processes on one port would each get some of the calls.
                ("grpc.so_reuseport", 0),
            ],
        )
        for service, path in PATHS.items():
            call = _call(receiver, sink, path, allowed)
            method = grpc.unary_unary_rpc_method_handler(call)
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": method}),)
            )
        host = self._address.rpartition(":")[0]
        try:
            port = self._open(server)
        except RuntimeError as error:
            raise ConfigError(
                f"otlp.grpc: {self._address} cannot be opened: is it in use? choose another"
            ) from error
        server.start()
        return f"{host}:{port}", lambda: server.stop(GRACE_SECONDS).wait()

    def _open(self, server: grpc.Server) -> int:
        """The port; with authorities of clients, every client has to show a certificate."""
        if self._certificates is None:
            return int(server.add_insecure_port(self._address))
        newest = self._certificates
        shown = newest()
        credentials = grpc.dynamic_ssl_server_credentials(
            _greeting(shown),
            _renewed(newest, shown),
            require_client_authentication=shown[2] is not None,
        )
        return int(server.add_secure_port(self._address, credentials))


def _greeting(shown: tuple[bytes, bytes, bytes | None]) -> grpc.ServerCertificateConfiguration:
    certificate, key, clients = shown
    return grpc.ssl_server_certificate_configuration([(key, certificate)], clients)


def _renewed(
    newest: Certificates, shown: tuple[bytes, bytes, bytes | None]
) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """What gRPC asks at each greeting: other certificates, or None for those of before."""
    before = [shown]

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        now = newest()
        if now == before[0]:
            return None
        before[0] = now
        return _greeting(now)

    return fetch


def build(options: Mapping[str, object]) -> Listener:
    """The listener; options are `address`, `max_body` and, for TLS, `certificates`.

    Called, those are the certificate, its key and the authorities of clients (or None) as they are
    now, in PEM form.
    """
    certificates = options.get("certificates")
    return GrpcListener(
        str(options["address"]),
        int(str(options["max_body"])),
        certificates,  # type: ignore[arg-type]
    )


def _call(receiver: Receiver, sink: Sink, path: str, allowed: Allowed) -> Call:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = {key.lower(): str(value) for key, value in context.invocation_metadata()}
        names = _names(context)
        if not allowed(metadata.get("authorization", ""), names):
            if names is None:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "a valid bearer token is required")
            fact = "this client certificate may not send: it is not in otlp.tls.senders"
            context.abort(grpc.StatusCode.PERMISSION_DENIED, fact)
        answer = receiver.receive(PushRequest(path, {"content-type": PROTOBUF}, body), sink)
        if answer.status != 200:  # noqa: PLR2004 - as over HTTP
            _abort(context, answer)
        return answer.body

    return export


def _names(context: grpc.ServicerContext) -> tuple[str, ...] | None:
    """The names of the client's certificate, which gRPC has checked; None: it showed none."""
    peer: Mapping[str, list[bytes]] = context.auth_context()
    if "x509_pem_cert" not in peer:
        return None
    fields = ("x509_common_name", "x509_subject_alternative_name")
    return tuple(value.decode() for name in fields for value in peer.get(name, ()))


def _abort(context: grpc.ServicerContext, answer: PushResponse) -> NoReturn:
    """The call ends with the status that the answer carries."""
    said = status_pb2.Status.FromString(answer.body)
    code = CODES.get(answer.status, grpc.StatusCode.INTERNAL)
    wait = answer.headers.get("retry-after")
    if wait is not None:
        # Without it a client takes "exhausted" for an error that trying again cannot help.
        retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=int(wait)))
        detail = any_pb2.Any()
        detail.Pack(retry)
        full = status_pb2.Status(code=code.value[0], message=said.message, details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", full.SerializeToString()),))
    context.abort(code, said.message)
    raise AssertionError("abort raises")
