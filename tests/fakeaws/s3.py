"""S3 over REST and XML: ListObjectsV2 and GetObject, read only; faults are scripted per test.

Shapes: botocore's service model of S3; what is written as XML is read back with botocore's own
parser and must come out the same. ListObjectsV2 lists keys in UTF-8 binary order, after StartAfter.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import hashlib
from datetime import UTC, datetime
from functools import cache
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.parsers import create_parser
from botocore.session import Session
from botocore.validate import validate_parameters

from fakeaws.metrics import ServiceError

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


@cache
def operation_model(name):
    return Session().get_service_model("s3").operation_model(name)


class S3:
    """Objects by bucket and key. `denied` prefixes answer 403; `cut` keys break off half-way."""

    def __init__(self, *, page=1000):
        self.objects = {}
        self.page = page
        self.denied = set()
        self.cut = set()
        self.error = None
        self.asked = []

    def put(self, bucket, key, data, modified):
        self.objects[bucket, key] = (data, modified)

    def get(self, path):
        """(operation, status, headers, body) of one GET."""
        url = urlsplit(path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        operation = "GetObject" if key else "ListObjectsV2"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append((operation, key or query.get("start-after") or query.get("prefix", "")))
        try:
            if self.error is not None:
                raise self.error
            return operation, *(self._object(bucket, key) if key else self._list(bucket, query))
        except ServiceError as error:
            body = _error(error).encode()
            return operation, error.status, _headers(body, "application/xml"), body

    def _object(self, bucket, key):
        self._check(key)
        if (bucket, key) not in self.objects:
            raise ServiceError(404, "NoSuchKey", "The specified key does not exist.")
        data, modified = self.objects[bucket, key]
        headers = _headers(data, "binary/octet-stream") | {
            "Last-Modified": datetime.fromtimestamp(modified, UTC).strftime(
                "%a, %d %b %Y %H:%M:%S GMT"
            )
        }
        headers["ETag"] = etag(data)
        return 200, headers, data[: len(data) // 2] if key in self.cut else data

    def head(self, path):
        """(status, headers) of a HEAD: an error has no body, and so no code of its own."""
        url = urlsplit(path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        self.asked.append(("HeadObject", key))
        try:
            if self.error is not None:
                raise self.error
            status, headers, _ = self._object(bucket, key)
        except ServiceError as error:
            return error.status, {"Content-Length": "0"}
        return status, headers

    def _list(self, bucket, query):
        assert query["list-type"] == "2", "only version 2 lists by StartAfter"
        prefix, after = query.get("prefix", ""), query.get("start-after", "")
        self._check(prefix)
        after = max(after, query.get("continuation-token", ""))
        keys = sorted(k for b, k in self.objects if b == bucket and k.startswith(prefix))
        keys = [key for key in keys if key > after]
        size = min(int(query.get("max-keys", self.page)), self.page)
        found = {
            "Name": bucket,
            "Prefix": prefix,
            "MaxKeys": size,
            "KeyCount": len(keys[:size]),
            "IsTruncated": len(keys) > size,
            "Contents": [self._listed(bucket, key) for key in keys[:size]],
        }
        if found["IsTruncated"]:
            found["NextContinuationToken"] = keys[size - 1]
        body = _list_xml(found).encode()
        _check_shape("ListObjectsV2", found, body)
        return 200, _headers(body, "application/xml"), body

    def _listed(self, bucket, key):
        data, modified = self.objects[bucket, key]
        return {
            "Key": key,
            "Size": len(data),
            "ETag": etag(data),
            "LastModified": datetime.fromtimestamp(modified, UTC),
        }

    def _check(self, key):
        if any(key.startswith(prefix) for prefix in self.denied):
            raise ServiceError(403, "AccessDenied", "Access Denied")


def etag(data):
    """That of an object that was put in one piece, unencrypted or with SSE-S3."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _check_shape(operation, found, body):
    shape = operation_model(operation).output_shape
    validate_parameters(found, shape)
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed = create_parser("rest-xml").parse(response, shape)
    parsed.pop("ResponseMetadata")
    assert parsed == {k: v for k, v in found.items() if v != []}


def _list_xml(found):
    single = "".join(
        f"<{name}>{_text(value)}</{name}>" for name, value in found.items() if name != "Contents"
    )
    listed = "".join(
        "<Contents>" + "".join(f"<{k}>{_text(v)}</{k}>" for k, v in one.items()) + "</Contents>"
        for one in found["Contents"]
    )
    return f'<ListBucketResult xmlns="{XMLNS}">{single}{listed}</ListBucketResult>'


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return escape(value.isoformat() if isinstance(value, datetime) else str(value))


def _error(error):
    return f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"


def _headers(body, kind):
    return {"Content-Type": kind, "Content-Length": str(len(body))}
