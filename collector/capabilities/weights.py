"""Whether models' weights can be looked at where they lie: overwritten ones keep their address."""

from __future__ import annotations

from collections.abc import Iterator

from collector.capabilities.asking import Judged, Services, asked
from collector.hourly.objects import DOLLARS_A_LIST
from collector.sagemaker.artifacts import Artifacts, addresses
from collector.sagemaker.snapshot import Snapshot
from nibai.protocols import Capability, Standing

READS = 4
DOLLARS = READS * DOLLARS_A_LIST


def weights(services: Services, snapshot: Snapshot, now: float) -> Iterator[Capability]:
    """Nothing where no address is known (models of a registry, or a refused DescribeModel)."""
    known = {address for unit in snapshot.units for _, address in addresses(unit.facts)}
    if known:
        topic = f"endpoint {snapshot.name}"
        yield asked(
            topic, "contents of models' addresses", lambda: _judged(services, snapshot, now, known)
        )


def _judged(services: Services, snapshot: Snapshot, now: float, known: set[str]) -> Judged:
    artifacts = Artifacts(services("s3"), lambda: now)
    artifacts.seen(snapshot)
    if artifacts.denied is not None:
        raise artifacts.denied
    if artifacts.problems:
        return Standing.UNKNOWN, "; ".join(artifacts.problems.values())
    return Standing.PRESENT, f"{len(known)} may be read: overwritten weights are seen"
