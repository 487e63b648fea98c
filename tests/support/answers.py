"""Batches of answers for the write-ahead log."""

from nibai.predictions import PredictionRecord
from nibai.store.wal.prediction_rows import to_batch

ENDPOINT = "onprem/tokyo/ocr"


def record(request, label="cat", **more):
    """One answer to the request and input of this number."""
    given = {
        "request_id": f"q{request}", "input_hash": f"h{request}", "at": 1_680_000_000.0 + request,
        "endpoint": ENDPOINT, "variant": "fp32", "replica": "r1", "label": label,
    }  # fmt: skip
    return PredictionRecord(**(given | more))


def answers(*records):
    """Records as one batch."""
    return to_batch(records)
