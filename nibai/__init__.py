"""nibai (二倍, "twice"): is inference really 2x faster? Evidence, on your own traffic.

The public Python API is `nibai.compare`; everything else is internal and may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nibai.app.compare import compare

__all__ = ["__version__", "compare"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - module attributes of any type
    # `nibai --help` imports this module: metadata and numpy wait until they are wanted.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("nibai")
    if name == "compare":
        from nibai.app.compare import compare  # noqa: PLC0415

        return compare
    raise AttributeError(f"module 'nibai' has no attribute {name!r}")
