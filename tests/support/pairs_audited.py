"""An audit of labelled pairs with and without a report of their answers."""

import numpy as np
import pyarrow as pa

from nibai.app.compare import compare_files
from nibai.protocols import PairsRequest


def pairs_table(n=400):
    rng = np.random.default_rng(11)
    old = [f"class {i}" for i in rng.integers(4, size=n)]
    new = [label if rng.random() > 0.1 else "class 0" for label in old]
    return pa.table({"baseline": old, "candidate": new, "request_id": list(map(str, range(n)))})


def audited(path, table=None):
    request = PairsRequest((pairs_table() if table is None else table,), noise_floor=0.0)
    return compare_files(
        None,
        ["same predictions within 2%"],
        level=0.95,
        clock=lambda: 1.7e9,
        pairs=request,
        evidently=None if path is None else str(path),
    )
