"""Is what was captured of an hour's requests as much as it should be?"""

from __future__ import annotations

import math

MISSING_SHARE = 0.1
"""A tenth may be missing: failed requests are counted and may not be captured."""

SIGMAS = 4.0
"""One complete hour in 30,000 falls short by chance alone."""


def falls_short(captured: int, requests: int, share: float) -> bool:
    """Whether fewer were captured than a random `share` (0 to 1) of the requests explains.

    Requests are captured independently of each other; four standard deviations are allowed.

    >>> falls_short(410, 1000, 1.0), falls_short(180, 1000, 0.2), falls_short(3, 4, 1.0)
    (True, False, False)
    """
    wanted = (1 - MISSING_SHARE) * requests * share
    spread = math.sqrt(requests * share * (1 - share) + 1)
    return captured < wanted - SIGMAS * spread
