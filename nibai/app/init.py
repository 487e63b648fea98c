"""`nibai init`: a commented nibai.yaml from what is found of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from nibai import plugins
from nibai.config import DEFAULT_CLAIM, Config
from nibai.config.regions import domain_of
from nibai.errors import PluginError, UsageError
from nibai.protocols import Survey, Surveyor

DOLLARS_A_SERIES = 0.168
"""A month of one latency of one variant, in full detail, read hourly (docs/cloudwatch.md)."""

DOLLARS_FAILURES = 0.022
"""And of a variant's failures, read in the same call."""


def survey(provider: str, name: str, options: Mapping[str, object]) -> Survey:
    """What the provider's surveyor finds of an endpoint."""
    found = plugins.load("nibai.surveyors", provider, options)
    if not isinstance(found, Surveyor):
        raise PluginError(f"the plug-in {provider!r} in nibai.surveyors surveys nothing")
    return found.survey(name)


def write(path: Path, text: str) -> None:
    """Write a new file; UsageError when there is one already."""
    Config.model_validate(yaml.safe_load(text))  # what is written can be read
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already: move it away, or say --output FILE") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}): say --output FILE"
        ) from error


def rendered(found: Survey, endpoint_url: str | None = None) -> str:
    """The file: every line that has an effect, and comments that say what it is and costs."""
    parts = [_head(found), _cloudwatch(found, endpoint_url), _sagemaker(found, endpoint_url)]
    parts += [_capture(found, endpoint_url), _cost(found)]
    return "\n".join(part for part in parts if part)


def _head(found: Survey) -> str:
    lines = [f"# nibai.yaml for the SageMaker endpoint {found.name}, made by nibai init."]
    for name, what in found.variants.items():
        lines.append(f"#   variant {name}: {what}")
    for name, what in found.shadows.items():
        lines.append(f"#   shadow variant {name}: {what}")
    lines += [f"#   inference component {name}" for name in found.components]
    lines += [f"#   not read: {note}" for note in found.notes]
    lines += [
        "# Next: nibai check-config, nibai doctor, nibai collect --dry-run (the bill), nibai run.",
        "",
        "data: nibai-data          # the lake of measurements and the state",
        "",
    ]
    return "\n".join(lines)


def _account(found: Survey, endpoint_url: str | None) -> list[str]:
    lines = [f"  - account: {_quoted(found.account)}", f"    region: {found.region}"]
    if endpoint_url is not None:
        lines.append(f"    endpoint_url: {_quoted(endpoint_url)}")
    return lines


def _cloudwatch(found: Survey, endpoint_url: str | None) -> str:
    variants = [*found.variants, *found.shadows, *found.components]
    monthly = len(variants) * (DOLLARS_A_SERIES * len(found.metrics) + DOLLARS_FAILURES)
    lines = [
        "# Latencies, as distributions. Nothing is switched on at AWS; reading is billed",
        f"# by CloudWatch: about ${monthly:.2f} a month as it stands here.",
        "cloudwatch:",
        *_account(found, endpoint_url),
        "    endpoints:",
        f"      {_quoted(found.name)}: [{', '.join(_quoted(name) for name in variants)}]",
        f"    metrics: [{', '.join(found.metrics)}]",
        "    detail: TC 109            # or TC 55, TC 28, percentiles: cheaper, less sure",
        "    every: 1h                 # a window is judged by the minutes inside, not by this",
        f"    dollars_per_month: {_cap(monthly)}      # never more than this is planned",
        "",
    ]
    return "\n".join(lines)


def _sagemaker(found: Survey, endpoint_url: str | None) -> str:
    region, account = found.region, found.account
    lines = [
        "# What is deployed, and when it changes (free of charge).",
        "sagemaker:",
        *_account(found, endpoint_url),
        f"    endpoints: [{_quoted(found.name)}]   # names or patterns such as chat-*",
        "    every: 60s",
        "    claims:                   # what a change has to keep: write what you were promised",
        f"      - {DEFAULT_CLAIM}",
        "    # Within seconds instead of a minute: deploy/aws/nibai-events.yaml makes the queue.",
        f"    # queue: https://sqs.{region}.{domain_of(region)}/{account}/nibai-events",
        "    # Who deployed, and exactly when (needs cloudtrail:LookupEvents).",
        "    cloudtrail: false",
        "    # S3 is asked once an hour whether a model was overwritten where it lies (needs",
        "    # s3:GetObject and s3:ListBucket of its bucket; less than a cent a month).",
        "    weights: true",
        "",
    ]
    return "\n".join(lines)


def _capture(found: Survey, endpoint_url: str | None) -> str:
    if found.capture is None:
        return (
            "# Data Capture is off: whether answers stay the same is not seen. With it on, say\n"
            "# here where captures lie (docs/data-capture.md).\n"
        )
    destination, share = found.capture
    names = [*found.components] or [*found.variants]
    lines = [
        "# Answers of live requests: are they the same as before? Payloads are not kept.",
        "data_capture:",
        *_account(found, endpoint_url),
        f"    endpoint: {_quoted(found.name)}",
        f"    destination: {_quoted(destination)}",
        f"    variants: [{', '.join(_quoted(name) for name in names)}]",
    ]
    if found.components:
        lines.append(
            "    # Where captures of components lie is not documented: nibai doctor lists it."
        )
        lines += [
            "    folders:",
            *(f"      {_quoted(n)}: {_quoted(n.removeprefix('ic:'))}" for n in names),
        ]
    if found.shadows:
        lines.append(f"    shadow: [{', '.join(_quoted(name) for name in found.shadows)}]")
    lines += [
        f"    sampling_percentage: {share:g}",
        "    answer:",
        "      kind: class             # or proba, score, regression, text, json, ranking",
        "      # path: predictions.0.label   # where in a JSON output; else all of it",
        "",
    ]
    return "\n".join(lines)


def _cost(found: Survey) -> str:
    del found
    return (
        "# Prices for claims such as “2x cheaper”: the public list, asked once a week, or yours.\n"
        "cost:\n"
        "  price_list: aws             # needs pricing:GetProducts; free of charge\n"
    )


def _quoted(text: str) -> str:
    """A text as a YAML string, whatever it holds."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cap(monthly: float) -> int:
    """A limit well above the plan, in whole dollars."""
    return max(round(monthly * 3), 5)
