"""Which series nothing was changed on: point series of one host or one metric, in order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from bench.evaluate.inputs import InputError, read_json
from nibai.histogram import Float64Array

LEAST_POINTS = 500
"""A shorter series has no history to calibrate on after its earlier part is set apart."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values at ascending times; `excluded` marks points inside labelled anomalies.

    `system` is what varies independently: operations measured on one host share it.
    """

    suite: str
    name: str
    system: str
    values: Float64Array
    times: Float64Array
    excluded: np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Suite:
    """A group of series that get one rate."""

    name: str
    title: str
    folder: str
    same_clock: bool


SUITES = (
    Suite("redis", "Redis", "azure-vm-noise/redis", same_clock=False),
    Suite("cpu_cache", "CPU cache", "azure-vm-noise/stress-ng", same_clock=False),
    Suite("nab", "NAB CloudWatch", "nab", same_clock=True),
)


def load(data: Path, suite: Suite) -> list[Series]:
    """Every series of a suite with enough points; none when the folder is not there."""
    folder = data / suite.folder
    if not folder.is_dir():
        return []
    found = _nab(folder) if suite.name == "nab" else _hosts(folder, suite.name)
    return [one for one in found if len(one.values) >= LEAST_POINTS]


@lru_cache(maxsize=1)
def load_all(data: Path) -> dict[str, list[Series]]:
    """Series by suite; read once a process."""
    return {suite.name: load(data, suite) for suite in SUITES}


def _hosts(folder: Path, suite: str) -> Iterator[Series]:
    """One series for each long-lived host and operation (file names `OP-UNIT-long-REGION-SKU`)."""
    for path in sorted(folder.glob("*-long-*.csv")):
        fields = path.stem.split("-")
        if len(fields) != 5:  # noqa: PLR2004 - operation, unit, lifespan, region, SKU
            raise InputError(f"{path.name}: a name has five fields OP-UNIT-LIFESPAN-REGION-SKU")
        operation, _, _, region, sku = fields
        rows = _read(path, ("value", "starttime", "VM_id")).sort_by("starttime")
        for host in sorted(rows["VM_id"].unique().to_pylist(), key=str):
            own = rows.filter(pc.equal(rows["VM_id"], host))
            system = f"{region} {sku} {host}"
            yield _series(
                suite, f"{operation} {system}", system, own["value"], own["starttime"], []
            )


def _nab(folder: Path) -> Iterator[Series]:
    """One series for each file; labelled windows are excluded."""
    labels = read_json(folder / "combined_windows.json")
    for path in sorted(folder.glob("*/*.csv")):
        key = f"{path.parent.name}/{path.name}"
        if key not in labels:
            raise InputError(f"{folder.name}/combined_windows.json has no entry {key!r}")
        rows = _read(path, ("timestamp", "value")).sort_by("timestamp")
        windows = [(_seconds(start), _seconds(end)) for start, end in labels[key]]
        yield _series("nab", path.stem, path.stem, rows["value"], rows["timestamp"], windows)


def _read(path: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        rows = pa.csv.read_csv(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path.name} is no CSV file: {error}") from error
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        raise InputError(
            f"{path.name} has no column {missing[0]!r}, only {', '.join(rows.column_names)}"
        )
    return rows.select(columns)


def _series(  # noqa: PLR0917 - private
    suite: str,
    name: str,
    system: str,
    values: pa.ChunkedArray,
    times: pa.ChunkedArray,
    windows: list[tuple[float, float]],
) -> Series:
    if not pa.types.is_timestamp(times.type):
        raise InputError(f"{name}: times are {times.type}, not timestamps like 2024-01-31 12:00:00")
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise InputError(f"{name}: values are {values.type}, not numbers")
    seconds = pc.cast(pc.cast(times, pa.timestamp("us")), pa.int64()).to_numpy() / 1e6
    numbers = values.to_numpy().astype(np.float64)
    good = np.isfinite(numbers) & (numbers >= 0)
    numbers, seconds = numbers[good], seconds[good]
    excluded = np.zeros(len(numbers), dtype=np.bool_)
    for start, end in windows:
        excluded |= (seconds >= start) & (seconds <= end)
    return Series(suite, name, system, numbers, seconds, excluded)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
