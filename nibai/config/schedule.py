"""The section `schedule`: what `nibai run` does by itself, and when (UTC)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nibai.config.fields import Duration, Section

CRON_FIELDS = 5


class Slots(Section):
    """When a job is due: `every` so long since the epoch, or at the moments of a `cron` line.

    `catch_up` says what happens to slots that passed while nothing ran.
    """

    every: Annotated[Duration, Field(ge=1)] | None = None
    cron: str | None = None
    catch_up: Literal["skip", "last", "all"] = "last"

    @field_validator("cron")
    @classmethod
    def _cron_line(cls, line: str | None) -> str | None:
        fields = (line or "").split()
        if line is not None and len(fields) != CRON_FIELDS:
            raise ValueError("a cron line has minute, hour, day, month and day of the week (UTC)")
        if line is not None and re.search(r"\d", fields[4]):
            raise ValueError("days of the week are written by name, such as mon or mon-fri")
        return line

    @model_validator(mode="after")
    def _one_of_both(self) -> Slots:
        if (self.every is None) == (self.cron is None):
            raise ValueError("write either every or cron")
        return self


def _every(duration: str) -> Slots:
    return Slots.model_validate({"every": duration})


class Schedule(Section):
    """Jobs of `nibai run`; a job that is null is switched off.

    `follow` looks at claimed changes on closed blocks for `follow_for`, `reports` describes them so
    long after they landed, `fleet` judges all of them together, `changes` and `outputs` look for
    what nobody announced (at one false alarm in `tolerate`). An endpoint without a new minute for
    `quiet_after` has no data.
    """

    level: float = Field(default=0.95, gt=0.5, lt=1)
    follow: Slots | None = _every("5m")
    follow_for: Duration = 30 * 86400.0
    reports: tuple[Duration, ...] = (6 * 3600.0, 86400.0, 7 * 86400.0)
    fleet: Slots | None = Slots(cron="0 6 * * mon")
    changes: Slots | None = _every("5m")
    tolerate: Duration = Field(default=30 * 86400.0, ge=86400.0)
    outputs: Slots | None = _every("1h")
    quiet_after: Duration = 900.0
    jitter: Duration = 2.0
