"""A real Prometheus that is written to: native histograms and numbers by remote write.

Messages as published in prometheus/prompb (remote.proto, types.proto), bodies in snappy's block
format with literals only.
"""

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROMETHEUS = shutil.which("prometheus")
START_SECONDS = 30.0
MOST_LITERAL = 65_536

_FIELD = descriptor_pb2.FieldDescriptorProto
_MESSAGES = {
    "Label": (("name", 1, _FIELD.TYPE_STRING, False), ("value", 2, _FIELD.TYPE_STRING, False)),
    "Sample": (("value", 1, _FIELD.TYPE_DOUBLE, False), ("timestamp", 2, _FIELD.TYPE_INT64, False)),
    "Span": (("offset", 1, _FIELD.TYPE_SINT32, False), ("length", 2, _FIELD.TYPE_UINT32, False)),
    "Histogram": (
        ("count_int", 1, _FIELD.TYPE_UINT64, False),
        ("sum", 3, _FIELD.TYPE_DOUBLE, False),
        ("schema", 4, _FIELD.TYPE_SINT32, False),
        ("zero_threshold", 5, _FIELD.TYPE_DOUBLE, False),
        ("zero_count_int", 6, _FIELD.TYPE_UINT64, False),
        ("positive_spans", 11, "Span", True),
        ("positive_deltas", 12, _FIELD.TYPE_SINT64, True),
        ("timestamp", 15, _FIELD.TYPE_INT64, False),
    ),
    "TimeSeries": (
        ("labels", 1, "Label", True),
        ("samples", 2, "Sample", True),
        ("histograms", 4, "Histogram", True),
    ),
    "WriteRequest": (("timeseries", 1, "TimeSeries", True),),
}


def _factory():
    file = descriptor_pb2.FileDescriptorProto(
        name="remote_write.proto", package="written", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            one = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                one.type, one.type_name = _FIELD.TYPE_MESSAGE, f".written.{kind}"
            else:
                one.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("written.WriteRequest"))


WriteRequest = _factory()


class Written:
    """A request for remote write that grows."""

    def __init__(self):
        self.message = WriteRequest()

    def histogram(self, labels, at, values, schema):
        """All values as one native histogram at a time (seconds)."""
        one = self._series(labels).histograms.add(
            count_int=len(values), sum=float(np.sum(values)), schema=schema,
            zero_threshold=1e-128, zero_count_int=0, timestamp=round(at * 1000),
        )  # fmt: skip
        index, counts = np.unique(
            np.ceil(np.log2(values) * 2.0**schema).astype(int), return_counts=True
        )
        # Neighbouring buckets share a span, counts are differences from one bucket to the next.
        before = None
        for number in index.tolist():
            if before is not None and number == before + 1:
                one.positive_spans[-1].length += 1
            else:
                gap = number if before is None else number - before - 1
                one.positive_spans.add(offset=gap, length=1)
            before = number
        one.positive_deltas.extend(int(n) for n in np.diff(np.concatenate([[0], counts])))

    def number(self, labels, at, value):
        """One sample of a number."""
        self._series(labels).samples.add(value=float(value), timestamp=round(at * 1000))

    def _series(self, labels):
        found = self.message.timeseries.add()
        for name, value in sorted(labels.items()):
            found.labels.add(name=name, value=value)
        return found

    def send(self, url):
        """To a Prometheus; an error of the server is raised."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{url}/api/v1/write",
            snappy(self.message.SerializeToString()),
            {
                "Content-Type": "application/x-protobuf",
                "Content-Encoding": "snappy",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            assert answer.status in {200, 204}


def snappy(data):
    """Snappy's block format without compression: the length, then literals."""
    found, length = bytearray(), len(data)
    while length >= 0x80:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    found.append(length)
    for start in range(0, len(data), MOST_LITERAL):
        piece = data[start : start + MOST_LITERAL]
        found += bytes([61 << 2]) + (len(piece) - 1).to_bytes(2, "little") + piece
    return bytes(found)


@contextlib.contextmanager
def prometheus(folder):
    """Runs one on loopback with native histograms and a receiver; gives its address."""
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = (folder / "prometheus.log").open("wb")
    process = subprocess.Popen(
        [
            PROMETHEUS, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms", "--log.level=warn",
        ],
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        _until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _until_ready(url, process):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, "prometheus ended: see prometheus.log"
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=2):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError("prometheus is not ready")
