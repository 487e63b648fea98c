"""Apache Otava as a judge: installed in an environment of its own, driven over JSON files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nibai.histogram import Float64Array

VERSION = "0.8.0"
REQUIREMENT = f"apache-otava=={VERSION}"
MAX_PVALUE, MIN_MAGNITUDE = 0.001, 0.0
"""Its defaults."""
WORKER = Path(__file__).with_name("otava_worker.py")

Setting = tuple[float, float]
"""max_pvalue and min_magnitude."""

DEFAULTS: Setting = (MAX_PVALUE, MIN_MAGNITUDE)


@dataclass(frozen=True, slots=True)
class Request:
    """A series, and chains of settings from lenient to strict."""

    values: Sequence[float]
    chains: tuple[tuple[Setting, ...], ...] = ((DEFAULTS,),)


Answer = list[list[list[int]]]
"""Positions of change points by chain and setting; a chain ends at the first empty one."""


@dataclass(frozen=True, slots=True)
class Otava:
    """The Python of an environment that has Otava, and how many of it run at once."""

    python: Path
    jobs: int = 1

    def change_points(self, requests: Sequence[Request]) -> list[Answer]:
        """Answers in the order of the requests."""
        if not requests:
            return []
        parts = [requests[i :: self.jobs] for i in range(min(self.jobs, len(requests)))]
        with ThreadPoolExecutor(len(parts)) as pool:
            answered = list(pool.map(self._ask, parts))
        return [answered[i % len(parts)][i // len(parts)] for i in range(len(requests))]

    def judge_series(self, series: Sequence[Float64Array]) -> list[list[int]]:
        """Positions of the change points of whole series with the defaults."""
        return [a[0][0] for a in self.change_points([Request(x.tolist()) for x in series])]

    def _ask(self, requests: Sequence[Request]) -> list[Answer]:
        with tempfile.TemporaryDirectory() as folder:
            asked, answered = Path(folder) / "asked.json", Path(folder) / "answered.json"
            texts = [{"values": list(r.values), "chains": r.chains} for r in requests]
            asked.write_text(json.dumps(texts), encoding="utf-8")
            done = subprocess.run(
                # -I: this folder must not be on its path, where otava.py would hide the package
                [str(self.python), "-I", str(WORKER), str(asked), str(answered)],
                check=False,
                capture_output=True,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            if done.returncode:
                raise RuntimeError(f"Otava ended with {done.returncode}: {done.stderr[-800:]}")
            answers: list[Answer] = json.loads(answered.read_text(encoding="utf-8"))
            return answers


def install(cache: Path, jobs: int = 1) -> tuple[Otava | None, str]:
    """Otava in `cache`, made when it is not there; else None and why not.

    Its pins (numpy 2.2, scipy below 1.17) conflict with ours, hence the own environment.
    """
    home = cache / f"otava-{VERSION}"
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if _works(python):
        return Otava(python, jobs), ""
    uv = _uv()
    if uv is None:
        return None, "uv is not installed"
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "--quiet", "--python", str(python), REQUIREMENT],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return None, f"{REQUIREMENT} could not be installed (uv ended with {done.returncode})"
    if not _works(python):
        return None, f"{REQUIREMENT} was installed and does not import"
    return Otava(python, jobs), ""


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    question = (
        "import importlib.metadata as m, otava.series; "
        f"assert m.version('apache-otava') == '{VERSION}'"
    )
    command = [str(python), "-I", "-c", question]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
