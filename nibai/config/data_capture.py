"""The section `data_capture`: where captures of an endpoint lie, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nibai.config.fields import Duration, SecretReference, Section
from nibai.config.regions import Region

AnswerKind = Literal["class", "proba", "score", "regression", "text", "json", "ranking"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class CapturedAnswer(Section):
    """Where the answer is: a path in JSON, a column (from 0) of CSV, or all of the output.

    `list` is the path to the list of answers, where one request asks several things.
    """

    kind: AnswerKind = "class"
    path: str = ""
    column: int | None = Field(default=None, ge=0)
    labels: tuple[str, ...] = ()
    threshold: float | None = None
    list: str = ""


class CapturedInput(Section):
    """What of the input is looked at: `segments` maps names to paths, `list` as of answers."""

    list: str = ""
    segments: Mapping[str, str] = Field(default_factory=dict)
    most_segments: int = Field(default=50, ge=1)


class Redact(Section):
    """What is taken out before anything is hashed or stored.

    `remove` and `hash` are paths of the input, `patterns` match in every text that is kept; `key`
    makes digests that nobody can guess.
    """

    remove: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    key: SecretReference | None = None


class DataCapture(Section):
    """Captures of one endpoint's variants; `shadow` ones answered copies of live requests.

    Inference components are written as ic:NAME. `folders` says where captures of a variant lie
    below the endpoint's folder, where that is not its name.
    """

    account: str = Field(pattern=r"^\d{12}$")
    region: Region
    endpoint: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    destination: str = Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$")
    variants: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    folders: Mapping[str, str] = Field(default_factory=dict)
    sampling_percentage: float = Field(default=100.0, gt=0, le=100)
    answer: CapturedAnswer = CapturedAnswer()
    input: CapturedInput = CapturedInput()
    redact: Redact = Redact()
    since: Duration = 7 * 86400.0
    every: Duration = 3600.0
    dollars_per_month: float | None = Field(default=None, gt=0)
    check_invocations: bool = True
    endpoint_url: str | None = None

    @model_validator(mode="after")
    def _someone(self) -> DataCapture:
        both = sorted(set(self.variants) & set(self.shadow))
        if both:
            raise ValueError(f"variants: {both[0]} is a shadow, too: name it once")
        if not self.variants and not self.shadow:
            raise ValueError("variants: name at least one")
        strange = sorted(set(self.folders) - set(self.variants) - set(self.shadow))
        if strange:
            raise ValueError(f"folders: {strange[0]} is none of the variants")
        return self

    @property
    def source_name(self) -> str:
        """What its progress is kept under."""
        return f"data_capture-{self.account}-{self.region}-{self.endpoint}"
