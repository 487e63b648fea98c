"""What pages of somebody else's may not do through a browser that can reach nibai.

A name of their own that was made to point here (DNS rebinding) is in `Host`; a page that posts here
from elsewhere is in `Origin` and `Sec-Fetch-Site`, which scripts cannot write. Programs send
neither. Source: Fetch standard, "Origin header"; W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

LONGEST_SHOWN = 100


def is_own_name(request: Request, names: Collection[str]) -> bool:
    """Whether it is asked under a name of this machine's, or one of `names` (in lower case).

    A loopback address cannot be anybody else's name.
    """
    name = asked_name(request)
    if name == "localhost" or name in names:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def asked_name(request: Request) -> str:
    """The name in `Host`, without port and brackets, in lower case; empty without one."""
    try:
        return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_of_another_page(request: Request) -> bool:
    """Whether a browser says that a page of another origin sends this."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    except ValueError:
        return True


def shown(text: str) -> str:
    """A text of the request's as part of an answer in plain words."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:LONGEST_SHOWN])
