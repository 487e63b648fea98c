"""The head: multinomial logistic regression on fp32 embeddings; the same for both variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.model import Encoder

BATCH = 32


def train(encoder: Encoder, training: Sequence[tuple[str, str]], target: Path, seed: int) -> float:
    """Fit and save the head; its accuracy on a fifth of the texts that it was not fitted on."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import

    texts = [text for text, _ in training]
    labels = np.array([label for _, label in training])
    embeddings = embed_all(encoder, texts)
    held_out = len(texts) // 5
    head = LogisticRegression(C=10.0, max_iter=1000, random_state=seed)
    head.fit(embeddings[held_out:], labels[held_out:])
    accuracy = float(head.score(embeddings[:held_out], labels[:held_out]))
    np.savez(target, weights=head.coef_, bias=head.intercept_, classes=head.classes_.astype(str))
    return accuracy


def embed_all(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Embeddings of many texts, texts of one length together."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = np.empty((len(texts), 384), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        found[rows] = encoder.embed([texts[i] for i in rows])
    return found
