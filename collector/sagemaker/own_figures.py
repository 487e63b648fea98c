"""AWS's own figures of a change, whatever their source: never in the way of telling the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from collector.aws.errors import ODD
from collector.aws.session import Caller
from collector.sagemaker.advice import Advice
from collector.sagemaker.benchmarks import Benchmarks
from collector.sagemaker.diff import Step
from collector.sagemaker.facts import text
from collector.sagemaker.figures import Figure
from collector.sagemaker.permitted import Permitted
from nibai.errors import AuthError, CollectError
from nibai.protocols.discovery import Later

Told = TypeVar("Told")


class OwnFigures:
    """Asks AWS's own jobs; `problems` say what could not be read."""

    def __init__(self, caller: Caller, store: Caller | None, permitted: Permitted) -> None:
        self._advice = Advice(caller, permitted)
        self._benchmarks = Benchmarks(caller, store, permitted)
        self.problems: list[str] = []

    def of(self, step: Step, endpoint: str, began: float, over: float) -> list[Figure]:
        """Figures of a change of an endpoint that traffic moved to in this time."""
        component = step.after.name.removeprefix("ic:") if step.after.name[:3] == "ic:" else ""
        return [
            *self._asked(endpoint, lambda: self._advice.figures(step)),
            *self._asked(
                endpoint, lambda: self._benchmarks.figures(endpoint, component, began, over)
            ),
        ]

    def later(self, endpoint: str, now: float) -> list[Later]:
        """What was measured of an endpoint lately, told before or not."""
        return self._asked(endpoint, lambda: self._benchmarks.later(endpoint, now))

    def _asked(self, endpoint: str, ask: Callable[[], list[Told]]) -> list[Told]:
        try:
            return ask()
        except AuthError:
            raise
        except (CollectError, *ODD) as error:
            odd = isinstance(error, ODD)
            said = f"{type(error).__name__}: {text(error)}" if odd else error
            self.problems.append(f"{endpoint}: AWS's own figures are not read: {said}")
            return []
