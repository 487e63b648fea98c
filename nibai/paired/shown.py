"""What of a sketch is shown where not everything can be."""

from __future__ import annotations

import heapq
from dataclasses import replace

from nibai.predictions import PairedSketch


def shown_confusion(sketch: PairedSketch, classes: int = 50, other: str = "other") -> PairedSketch:
    """The sketch with the rarest labels of its flips joined, so that at most `classes` stay.

    Not before the end: joined labels no longer merge exactly.
    """
    weight: dict[str, int] = {}
    for pair, count in sketch.confusion.items():
        for label in pair:
            weight[label] = weight.get(label, 0) + count
    if len(weight) <= classes:
        return sketch
    kept = set(heapq.nlargest(classes, weight, key=lambda label: (weight[label], label)))
    joined: dict[tuple[str, str], int] = {}
    for (old, new), count in sketch.confusion.items():
        cell = (old if old in kept else other, new if new in kept else other)
        joined[cell] = joined.get(cell, 0) + count
    return replace(sketch, confusion=joined)
