"""Evidence that goes on: the blocks of a watched part after the one that decided it.

A watch stops where its change is decided, at an e-value of about 20; among a thousand endpoints
e-BH asks for far more. So each part has a second track: the watch's own while that is followed,
and afterwards one that goes on from there, under a name of its own in the state. The watch's track,
and with it the verdict of the single change, is never touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from nibai.app.finality import Finality
from nibai.app.watch import Watch
from nibai.app.watch_parts import Followed, closed_blocks
from nibai.document import decode
from nibai.stats.block_values import BlockReading
from nibai.stats.following import Track
from nibai.store.state.database import State
from nibai.store.windows.paired_blocks import PairedBlocks

CONTINUED = " | continued"


def go_on(watch: Watch, state: State, now: float) -> tuple[Track | None, ...]:
    """The track of every part with all blocks closed by now, stored; None where there is none.

    After `Watch.look` at the same time. Each block is read once, as in a watch.
    """
    running = [_running(watch, state, part) for part in watch.parts]
    known = watch.finality(now)
    going = [_may_go_on(watch, part, known.newest_counted(now)) for part in running]
    if not any(going):
        return tuple(part.track for part in running)

    def on(part: Followed, source: PairedBlocks) -> Track | None:
        return _continued(watch, state, part, closed_blocks(part, source, now, known), known)

    sources = watch.sources()
    return tuple(
        on(part, source) if goes else part.track
        for part, source, goes in zip(running, sources, going, strict=True)
    )


def _running(watch: Watch, state: State, part: Followed) -> Followed:
    """The part with what was stored of its continuation, where that has seen more blocks."""
    document = state.watch(watch.change.id, watch.key(part.claim) + CONTINUED)
    if part.track is None or document is None:
        return part
    track: Track = decode(Track, document)
    return dataclasses.replace(part, track=track) if track.last > part.track.last else part


def _may_go_on(watch: Watch, running: Followed, until: float) -> bool:
    """Whether blocks may have closed that its watch does not read any more.

    A block whose quantile is lost among failed requests ends it: the evidence is that of the block
    before, where a process that skipped such blocks would overlook an outage.
    """
    pairs, track = running.pairs, running.track
    if pairs is None or track is None or track.censored:
        return False
    own = next(part for part in watch.parts if part.claim == running.claim)
    closed = pairs.closed(until)
    over = running.ended or watch.exhausted(running)
    return not watch.is_open(own) and closed > track.last + 1 and not over


def _continued(
    watch: Watch,
    state: State,
    part: Followed,
    closed: Iterable[tuple[int, BlockReading]],
    known: Finality,
) -> Track | None:
    track = part.track
    if track is None:
        return None
    for number, reading in closed:
        track = track.look(number, reading, known.revision)
        if track.censored:
            break
    if track is part.track:
        return track
    key = watch.key(part.claim) + CONTINUED
    document = state.put_watch(watch.change.id, key, track.last, dataclasses.asdict(track))
    stored: Track = decode(Track, document)
    return stored
