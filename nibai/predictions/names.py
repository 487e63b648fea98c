"""What signals, events and moments of a sketch are called."""

from __future__ import annotations

CORRECT = "correct"
"""The signal "the answer was right" (where truth is known): n10 is `baseline_only`."""

INVALID = "invalid"
"""The signal "the answer was invalid", whatever the kind; kinds are signals "invalid:KIND"."""

JSON_VALID = "json_valid"
"""The signal "the answer parses as JSON and fits its schema"."""

SCORE_DIFFERENCE = "score_difference"
"""Moments (and, as absolute values, histogram) of new minus old score."""

KL = "kl"
"""Moments and histogram of KL(old || new) in nats."""

JSD = "jsd"
"""Moments and histogram of the Jensen-Shannon divergence in bits, 0 to 1."""

PROBABILITY_DIFFERENCE = "probability_difference"
"""Moments of each pair's root mean square difference of probabilities."""

COSINE = "cosine"
"""Moments of the cosine of old and new embedding."""

COSINE_DISTANCE = "cosine_distance"
"""Moments and histogram of 1 - cosine."""

RANK_OVERLAP = "rank_overlap"
"""Moments of the rank-biased overlap (p = 0.9) of two rankings."""

TOP_OVERLAP = "top_overlap"
"""Moments of the share of items that two rankings have in common."""

THRESHOLD_CROSSED = "threshold_crossed"
"""The event that old and new score lie on different sides of the decision threshold."""

BEYOND_TOLERANCE = "beyond_tolerance"
"""The event that old and new score (or embedding) differ by more than the stated tolerance."""

SAME_TOP = "same_top"
"""The event that old and new give the same class the largest probability (or first place)."""
