"""One question to AWS as one capability: present, absent, denied or unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from collector.aws.errors import ODD, POLICY, DeniedError
from collector.aws.session import Caller
from collector.sagemaker.facts import text
from nibai.errors import CollectError
from nibai.protocols import Capability, Standing

Answer = Mapping[str, Any]
Services = Callable[[str], Caller]
"""A client by the name of its service; made when it is first asked for."""

Judged = tuple[Standing, str] | tuple[Standing, str, str]
"""Standing, fact, and a remedy where something should be done."""


def asked(
    topic: str, name: str, question: Callable[[], Judged], *, number: int | None = None
) -> Capability:
    """What a question found out; a refusal names its permission, a failure what happened."""
    try:
        judged = question()
    except DeniedError as error:
        return Capability(
            topic, name, Standing.DENIED, f"{error.action} is refused",
            f"allow {error.action} ({POLICY})", number,
        )  # fmt: skip
    except CollectError as error:
        return Capability(topic, name, Standing.UNKNOWN, str(error), "", number)
    except ODD as error:
        said = f"another shape than documented ({type(error).__name__}: {text(error)}): report it"
        return Capability(topic, name, Standing.UNKNOWN, said, "", number)
    standing, said, *remedy = judged
    return Capability(topic, name, standing, said, remedy[0] if remedy else "", number)
