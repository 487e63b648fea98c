"""A folder in the layout of bench/DATA.md with invented numbers, small enough for a test."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

POINTS, CLOUDWATCH_POINTS = 600, 1_200
START = datetime(2024, 1, 1)  # noqa: DTZ001 - the files name no zone


def write(folder: Path, seed: int = 5) -> Path:
    """All sets that the evaluation reads."""
    rng = np.random.default_rng(seed)
    _machines(folder / "azure-vm-noise", rng)
    _cloudwatch(folder / "nab", rng)
    _marked(folder / "tcpd", rng)
    _stacks(folder / "aibrix-regression" / "v0.2.1", rng)
    return folder


def _machines(folder: Path, rng: np.random.Generator) -> None:
    names = {"redis": ("get-requests_per_second",)}
    names["stress-ng"] = ("cpu_cache-bogo_ops_per_second",)
    for suite, operations in names.items():
        (folder / suite).mkdir(parents=True)
        for operation in operations:
            for sku, level in (("B8ms", 100.0), ("D8s_v5", 195.0)):
                rows = ["value,runtime,starttime,VM_id"]
                for host in (0,):
                    for i, value in enumerate(level * np.exp(rng.normal(0, 0.02, POINTS))):
                        at = START + timedelta(hours=i, milliseconds=10 * host)
                        rows.append(f"{value:.3f},30.0,{at:%Y-%m-%d %H:%M:%S.%f},{host}")
                path = folder / suite / f"{operation}-long-westus2-{sku}.csv"
                path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _cloudwatch(folder: Path, rng: np.random.Generator) -> None:
    (folder / "realAWSCloudwatch").mkdir(parents=True)
    labels = {}
    for name in ("one",):
        values = 50 * np.exp(rng.normal(0, 0.1, CLOUDWATCH_POINTS))
        values[::97] = 0.0
        rows = ["timestamp,value"]
        rows += [
            f"{START + timedelta(minutes=5 * i):%Y-%m-%d %H:%M:%S},{v:.4f}"
            for i, v in enumerate(values)
        ]
        path = folder / "realAWSCloudwatch" / f"{name}.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        labels[f"realAWSCloudwatch/{name}.csv"] = [
            [f"{START + timedelta(days=1)}.000000", f"{START + timedelta(days=1, hours=3)}.000000"]
        ]
    (folder / "combined_windows.json").write_text(json.dumps(labels), encoding="utf-8")


def _marked(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    annotations = {}
    for name, at in (("step", 60), ("calm", None)):
        values = rng.normal(10, 1, 120)
        if at is not None:
            values[at:] += 8
        document = {
            "name": name,
            "n_obs": 120,
            "n_dim": 1,
            "time": {"index": list(range(120))},
            "series": [{"label": "V1", "type": "float", "raw": values.tolist()}],
        }
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
        annotations[name] = {f"{i}": [] if at is None else [at] for i in range(5)}
    (folder / "annotations.json").write_text(json.dumps(annotations), encoding="utf-8")


def _stacks(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    names = ("naive", "ps_stack_high_low", "ps_stack_low_high", "aibrix_high_low")
    for name in names:
        requests = 100 if name == "aibrix_high_low" else 300
        launch = 1.7e9 + np.sort(rng.uniform(0, 100, requests))
        first = (1.0 if name == "naive" else 0.1) * np.exp(rng.normal(0, 0.4, requests))
        head = "prompt_tokens,generation_tokens,ttft,generation_time,user_id,question_id,"
        rows = [head + "launch_time,finish_time"]
        rows += [
            f"100,10,{t:.6f},1.0,1,{i},{at:.6f},{at + t + 1:.6f}"
            for i, (t, at) in enumerate(zip(first, launch, strict=True))
        ]
        path = folder / f"{name}_output_4.1.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
