"""Captures as a source that is pulled: variant by variant, object by object, each line once.

A variant is read from the hour up to which it was read; hours that may still fill are listed again,
and objects of them that were read are left alone. Answers that are stored already are not stored
twice (`nibai.store.pulled.known_answers`), whatever was cut off where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from collector.aws.errors import DeniedError
from collector.aws.session import Caller
from collector.data_capture.answers import Extraction, answers_of
from collector.data_capture.coverage import dollars, expected_answers
from collector.data_capture.variant import Variant
from collector.hourly.objects import DOLLARS_A_GET, DOLLARS_A_LIST
from collector.hourly.part import Part
from collector.hourly.places import HOUR, hour_start
from collector.hourly.reading import HourlyReading, first_hour
from collector.segments import Segments
from nibai.config import DataCapture
from nibai.errors import AuthError, CollectError
from nibai.model import Window
from nibai.protocols import Preview, Pulled, Puller

DELIVERED_SECONDS = 900.0
"""What was asked longer ago has arrived: "a couple of minutes", says the documentation."""

MONTH_SECONDS = 730 * HOUR
CHECKED = "checked"
"""Under which it is kept from which hour on captures are not held against Invocations yet."""


class DataCaptureSource:
    """The captures of one endpoint's variants; `since_seconds` is how far the first reading goes.

    `metrics` (CloudWatch) tells how many requests there were; None: not checked.
    """

    def __init__(
        self,
        store: Caller,
        metrics: Caller | None,
        variants: Sequence[Variant],
        extraction: Extraction,
        *,
        clock: Callable[[], float],
        since_seconds: float,
        every_seconds: float,
        most_segments: int,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._variants = variants
        self._extraction = extraction
        self._clock = clock
        self._since = since_seconds
        self._every = every_seconds
        self._most_segments = most_segments

    @property
    def series(self) -> Sequence[str]:
        """The places that are read."""
        return tuple(one.place.name for one in self._variants)

    def preview(self, read_until: Mapping[str, float]) -> Preview:
        """From which hour each variant is listed; nothing is asked."""
        now = self._clock()
        starts = [
            f"{one.place.name} from {one.place.after(self._start(one, read_until, now))[-13:]}h"
            for one in self._variants
        ]
        hours = MONTH_SECONDS / self._every
        checked = dollars(len(self._variants)) if self._metrics is not None else 0.0
        each = len(self._variants) * DOLLARS_A_LIST + checked
        return Preview(
            calls=len(self._variants) + (self._metrics is not None),
            datapoints=0,
            dollars=each,
            dollars_per_month=each * hours,
            said=f"lists {', '.join(starts)} (UTC), reads the files not read before "
            f"(${DOLLARS_A_GET * 1000:.4f} per 1,000), keeps {self._kept()}",
        )

    def pull(self, read_until: Mapping[str, float]) -> Iterator[Pulled]:
        """Everything since, one part after the other; a variant that is refused is told."""
        now = self._clock()
        segments = Segments(self._most_segments)
        reading = HourlyReading(self._store, read_until, now, self._since)
        for variant in self._variants:
            part = Part()
            read_line = partial(
                answers_of,
                extraction=self._extraction,
                segments=segments,
                series=variant.series,
            )
            try:
                yield from reading.read(variant.place, read_line, part)
            except CollectError as error:
                if isinstance(error, AuthError) and not isinstance(error, DeniedError):
                    yield part.taken()
                    raise  # without credentials no other variant can be read
                part.problems.append(_named(variant, error))
            yield part.taken()
        if segments.joined:
            yield Part(notes=Counter({"requests of further segments": segments.joined})).taken()
        yield self._coverage(read_until, now)

    # -- around it --------------------------------------------------------------------------
    def _start(self, variant: Variant, read_until: Mapping[str, float], now: float) -> float:
        return first_hour(variant.place, read_until, now, self._since)

    def _kept(self) -> str:
        output, extraction = self._extraction.output, self._extraction
        parts = [f"{output.kind.value} answers", "a digest of the input", *extraction.segments]
        return ", ".join(parts)

    def _coverage(self, read_until: Mapping[str, float], now: float) -> Pulled:
        """How many requests there were in the hours that were read."""
        part = Part()
        start = min(self._start(one, read_until, now) for one in self._variants)
        # Hours that could not be checked are checked later: unchecked ones would pass silently.
        start = min(start, read_until.get(CHECKED, start))
        window = Window(start, hour_start(now - DELIVERED_SECONDS))
        if self._metrics is None or window.seconds <= 0:
            return part.taken()
        try:
            captured = [one.captured for one in self._variants]
            part.expected += expected_answers(self._metrics, captured, window)
            part.dollars += dollars(len(captured))
            part.finished += [CHECKED] if CHECKED in read_until else []
        except CollectError as error:
            part.problems.append(f"captures are not checked against Invocations: {error}")
            part.read_until[CHECKED] = start
        return part.taken()


def _named(variant: Variant, error: CollectError) -> str:
    text = str(error)
    return text if variant.place.name in text else f"{variant.place.name}: {text}"


def build(options: Mapping[str, object]) -> Puller:
    """The captures of one endpoint; `options` are those of `data_capture` in nibai.yaml."""
    import time  # noqa: PLC0415 - the plug-in's own clock

    from collector.aws.session import AwsClient  # noqa: PLC0415 - boto3
    from collector.data_capture.configured import extraction, variants  # noqa: PLC0415 - see above

    chosen = DataCapture.model_construct(None, **options)
    address = chosen.endpoint_url
    metrics = None
    if chosen.check_invocations:
        metrics = AwsClient("cloudwatch", chosen.region, endpoint_url=address)
    return DataCaptureSource(
        AwsClient("s3", chosen.region, endpoint_url=address),
        metrics,
        variants(chosen),
        extraction(chosen),
        clock=time.time,
        since_seconds=chosen.since,
        every_seconds=chosen.every,
        most_segments=chosen.input.most_segments,
    )
