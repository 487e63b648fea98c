"""Objects of S3: listed in order, read line by line in bounded memory, packed (gz) or not."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from collector.aws.session import Caller
from collector.lines import Line, lines_in
from nibai.errors import CollectError

DOLLARS_A_LIST = 0.005 / 1000
DOLLARS_A_GET = 0.0004 / 1000
"""List prices of requests (us-east-1); reading inside the region costs nothing more."""


UNREADABLE = {
    "NoSuchKey": "was deleted after it was listed",
    "InvalidObjectState": "lies in an archive class of S3, which cannot be read",
}
"""What a single object may answer for ever; others are read."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object; `modified` in seconds since the epoch."""

    key: str
    size: int
    modified: float


class DamagedError(CollectError):
    """An object that cannot be read to its end, today or ever; what came before is good."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False, reason="damaged")


def listed(
    store: Caller, bucket: str, prefix: str, after: str = ""
) -> Iterator[list[StoredObject]]:
    """Objects below a prefix, those after a key only: a page of up to 1,000 at a time, in order."""
    request: dict[str, object] = {"Bucket": bucket, "Prefix": prefix}
    if after:
        request["StartAfter"] = after
    while True:
        page = store.call("ListObjectsV2", **request)
        yield [
            StoredObject(one["Key"], int(one["Size"]), one["LastModified"].timestamp())
            for one in page.get("Contents", ())
        ]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def object_lines(store: Caller, bucket: str, key: str) -> Iterator[Line]:
    """Lines of an object as they arrive.

    Raises DamagedError for a packed object that ends early or is none, CollectError where the
    connection broke: then it is worth another try.
    """
    name = f"s3://{bucket}/{key}"
    try:
        body: Any = store.call("GetObject", Bucket=bucket, Key=key)["Body"]
    except CollectError as error:
        if error.reason not in UNREADABLE:
            raise
        raise DamagedError(f"{name}: {UNREADABLE[error.reason]}: it is left out") from error
    try:
        yield from lines_in(_unpacked(body, key), name)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedError(
            f"{name}: is damaged or ends early ({error}): what came before was kept, put it there "
            "again whole"
        ) from error
    except Exception as error:
        if not _connection_broke(error):
            raise
        raise CollectError(
            f"{name}: the connection broke ({type(error).__name__}); it is read again later",
            retryable=True,
            reason="connection",
        ) from None
    finally:
        body.close()


def _unpacked(body: Any, key: str) -> IO[bytes]:  # noqa: ANN401 - botocore's stream
    stream = io.BufferedReader(body, 1 << 18)
    if key.endswith(".gz"):
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
    return stream


def _connection_broke(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - boto3 takes 0.4 s
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - same

    return isinstance(error, BotoCoreError | HTTPError | OSError)
