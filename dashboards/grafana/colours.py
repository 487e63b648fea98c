"""Colours and texts of values: colour means judgement, everything else is blue or purple."""

from __future__ import annotations

from dashboards.grafana.sdk import dashboard
from nibai.metric_registry import VERDICT_CODES
from nibai.model import Verdict

VERDICT_COLOURS = {
    Verdict.CONFIRMED: "green",
    Verdict.REFUTED: "red",
    Verdict.PARTLY: "orange",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_COMPARABLE: "#8e8e8e",
}
BASELINE = "light-blue"
CANDIDATE = "purple"
PLAIN = "blue"
PROMISE = "text"
"""The line of what was promised: the colour of text, neither side's."""


def verdicts() -> list[dashboard.ValueMapping]:
    """A verdict code as its word in its colour."""
    words = {
        str(VERDICT_CODES[verdict]): dashboard.ValueMappingResult(
            text=verdict.value.replace("_", " ").upper(), color=colour, index=place
        )
        for place, (verdict, colour) in enumerate(VERDICT_COLOURS.items())
    }
    return [dashboard.ValueMap(options=words)]


def no_traffic() -> list[dashboard.ValueMapping]:
    """Not a number is what a quantile of nothing is."""
    nan = dashboard.DashboardSpecialValueMapOptions(
        match=dashboard.SpecialValueMatch.NA_N,
        result=dashboard.ValueMappingResult(text="No traffic", color="text"),
    )
    return [dashboard.SpecialValueMap(options=nan)]


def words(**by_code: tuple[str, str]) -> list[dashboard.ValueMapping]:
    """Codes as (word, colour); a code is written `_0`, `_1`."""
    options = {
        code.lstrip("_"): dashboard.ValueMappingResult(text=text, color=colour, index=place)
        for place, (code, (text, colour)) in enumerate(by_code.items())
    }
    return [dashboard.ValueMap(options=options)]


def fixed(colour: str) -> dashboard.FieldColor:
    """One colour."""
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=colour)


def shades(colour: str = PLAIN) -> dashboard.FieldColor:
    """Many series in tones of one colour, so that none looks like a verdict."""
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.SHADES, fixed_color=colour)


def judged_above(limit: float, colour: str) -> dashboard.ThresholdsConfig:
    """Coloured from a limit on; plain below it."""
    return dashboard.ThresholdsConfig(
        mode=dashboard.ThresholdsMode.ABSOLUTE,
        steps=[
            dashboard.Threshold(value=None, color="text"),
            dashboard.Threshold(value=limit, color=colour),
        ],
    )
