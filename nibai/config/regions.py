"""Regions of AWS and the domain that their partition has."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Region = Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$")]
"""A region of AWS, of any of its partitions (cn-north-1, us-gov-west-1, eusc-de-east-1)."""

USUAL_DOMAIN = "amazonaws.com"
DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
}
"""By how regions begin; all others, GovCloud's too, are in amazonaws.com."""


def domain_of(region: str) -> str:
    """Where the services of a region are.

    >>> domain_of("eu-west-1"), domain_of("cn-north-1")
    ('amazonaws.com', 'amazonaws.com.cn')
    """
    found = (domain for begins, domain in DOMAINS.items() if region.startswith(begins))
    return next(found, USUAL_DOMAIN)
