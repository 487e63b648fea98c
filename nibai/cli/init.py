"""`nibai init`: a first nibai.yaml, from what an endpoint is found to be."""

from __future__ import annotations

from pathlib import Path

import click

from nibai.cli.saying import say


@click.command("init")
@click.option(
    "--sagemaker", "name", required=True, metavar="ENDPOINT", help="A SageMaker endpoint."
)
@click.option("--region", metavar="REGION", help="Its region (default: that of your profile).")
@click.option(
    "--output",
    metavar="FILE",
    default="nibai.yaml",
    show_default=True,
    help="Where to write; a file that is there is never overwritten.",
)
@click.option("--endpoint-url", metavar="URL", help="A private address of AWS's services.")
def command(name: str, region: str | None, output: str, endpoint_url: str | None) -> int:
    """Write a commented nibai.yaml for an endpoint: variants, metrics, prices, captures.

    Only reads. What the file makes nibai read is priced in its comments.
    """
    from nibai.app.init import rendered, survey, write  # noqa: PLC0415 - boto3, pydantic

    options = {"region": region, "endpoint_url": endpoint_url}
    found = survey("sagemaker", name, options)
    write(Path(output), rendered(found, endpoint_url))
    say(f"{output} is written: read it, then nibai check-config --config {output}")
    return 0
