"""nibai (二倍, "twice"): is inference really 2x faster? Evidence, on your own traffic.

The public Python API is `nibai.compare`, `nibai.sketch_pairs` and `nibai.replay`; everything else
is internal and may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nibai.app.compare import compare
    from nibai.app.pairs import sketch_pairs
    from nibai.app.replay import replay

__all__ = ["__version__", "compare", "replay", "sketch_pairs"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - module attributes of any type
    # `nibai --help` imports this module: metadata and numpy wait until they are wanted.
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("nibai")
    if name == "compare":
        from nibai.app.compare import compare  # noqa: PLC0415

        return compare
    if name == "sketch_pairs":
        from nibai.app.pairs import sketch_pairs  # noqa: PLC0415

        return sketch_pairs
    if name == "replay":
        from nibai.app.replay import replay  # noqa: PLC0415

        return replay
    raise AttributeError(f"module 'nibai' has no attribute {name!r}")
