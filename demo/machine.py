"""What this machine is: printed beside every result, because results are about it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("nibai", "onnxruntime", "onnx", "tokenizers", "scikit-learn", "numpy")
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def facts() -> dict[str, str]:
    """CPU, instruction sets that matter to int8, cores, load and versions."""
    text = _cpuinfo()
    flags = set(_field(text, "flags", "Features").split())
    sets = [name for name in INSTRUCTION_SETS if name in flags]
    return {
        "cpu": _field(text, "model name", "Model") or platform.processor() or platform.machine(),
        "instruction sets": " ".join(sets) or "unknown",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1),
        "load": load(),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def load() -> str:
    """The load average of the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _field(text: str, *names: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""
