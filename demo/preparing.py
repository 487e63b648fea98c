"""What is there before the traffic: the model in both variants, the texts, the head."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from demo import head, model, texts
from demo.steps import Steps
from demo.traffic import Plan

BATCHES_PER_SECOND = 25 / 60
"""Seconds of batches after a second of latencies: 25 in all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: quantization and name of the candidate, times, and the order of texts.

    `head_texts`: the head is trained on so many only, where answers do not matter.
    """

    candidate: str
    name: str
    round_seconds: float
    rounds: int
    seed: int
    control: str = "fp32c"
    head_texts: int | None = None
    no_cache: bool = False


def prepare(out: Path, steps: Steps, wanted: Wanted) -> Plan:
    """Write the graphs, read the texts, train the head; each said as a step."""
    cache = _cache_folder()
    if wanted.no_cache and cache.exists():
        shutil.rmtree(cache)
    with steps.step("model: graph written and quantized") as said:
        files = model.prepare(cache, wanted.candidate)
        said.append(f"{files.candidate.name}, {files.candidate.stat().st_size / 1e6:.0f} MB")
    threads = os.cpu_count() or 1
    encoder = model.Encoder(files.baseline, files.tokenizer, threads=threads)
    with steps.step("texts: docstrings of the standard library") as said:
        corpus = texts.collect(encoder.tokens, wanted.seed)
        sizes = [f"{name} {len(found)}" for name, found in corpus.segments.items()]
        said += [", ".join(sizes), f"{len(corpus.classes)} classes", f"seed {wanted.seed}"]
    saved = out / "head.npz"
    with steps.step("head trained on fp32 embeddings") as said:
        accuracy = head.train(encoder, corpus.training[: wanted.head_texts], saved, wanted.seed)
        said.append(f"accuracy {accuracy:.1%} on texts it was not fitted on")
    common = {"tokenizer": files.tokenizer, "head": saved}
    graphs = {"fp32": files.baseline, "control": files.baseline, "candidate": files.candidate}
    return Plan(
        names={"fp32": "fp32", "candidate": wanted.name, "control": wanted.control},
        files={role: {"graph": graph, **common} for role, graph in graphs.items()},
        segments=corpus.segments,
        truth=corpus.truth,
        round_seconds=wanted.round_seconds,
        batch_seconds=wanted.round_seconds * wanted.rounds * BATCHES_PER_SECOND,
        seed=wanted.seed,
    )


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "nibai" / "demo"
