"""A fleet audit for the tests of renderers: fixed numbers, no statistics, hostile names."""

from nibai.fleet import EndpointResult, FleetAudit, PartResult, Share, ShareBounds
from nibai.model import Estimate, Promise, Reason, ReasonCode, Verdict

HOSTILE = "onprem/x/<script>*b* | @all #1"

ROWS = [
    ("onprem/tokyo/chat", Verdict.CONFIRMED, (2.31, 2.2, 2.42), 1e-9, None),
    ("onprem/tokyo/ocr", Verdict.CONFIRMED, (2.12, 2.03, 2.21), 0.012, None),
    ("onprem/osaka/rank", Verdict.REFUTED, (1.21, 1.15, 1.28), 1e-7, None),
    (HOSTILE, Verdict.REFUTED, (0.8, 0.7, 0.9), 2e-6, None),
    ("onprem/osaka/lucky", Verdict.INCONCLUSIVE, (2.1, 2.01, 2.2), 0.081, Verdict.CONFIRMED),
    ("onprem/osaka/thin", Verdict.INCONCLUSIVE, (1.9, None, 2.6), None, None),
    ("onprem/osaka/moved", Verdict.NOT_COMPARABLE, None, None, None),
]

CODES = {
    Verdict.CONFIRMED: ReasonCode.MEETS_CLAIM,
    Verdict.REFUTED: ReasonCode.FALLS_SHORT,
    Verdict.INCONCLUSIVE: ReasonCode.TOO_FEW_TAIL_EPISODES,
    Verdict.NOT_COMPARABLE: ReasonCode.LOAD_OVERLAP,
}


def fleet(**more):
    results = [_row(*row, traffic=i + 1.0) for i, row in enumerate(ROWS)]
    share = {verdict: [r.traffic for r in results if r.verdict is verdict] for verdict in Verdict}
    shares = [
        Share(len(share[v]), len(share[v]) / 7, sum(share[v]) / 28)
        for v in (Verdict.CONFIRMED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.NOT_COMPARABLE)
    ]
    fields = {
        "id": "fleet-0a1b2c3d", "created_at": 1_764_288_000.0, "claims": ("2x faster at p99",),
        "scope": "the newest declared change of every endpoint", "verdict": Verdict.PARTLY,
        "reason": "of 7 endpoints: confirmed 2 (28.6%, 10.7% of traffic), refuted 2",
        "endpoints": tuple(results), "confirmed": shares[0], "refuted": shares[1],
        "undecided": shares[2], "not_comparable": shares[3],
        "true_endpoints": ShareBounds(0.286, 0.714, 0.95),
        "true_traffic": ShareBounds(0.107, 0.75, 0.95), "q": 0.05, "any_dependence": False,
        "correlation": 0.17, "level": 0.95, "notes": ("3 older changes were left out",),
        "nibai_version": "0.1.0",
    }  # fmt: skip
    return FleetAudit(**{**fields, **more})


def _row(endpoint, verdict, numbers, adjusted, alone, *, traffic):
    code = ReasonCode.FLEET_LEVEL if alone else CODES[verdict]
    estimate = None if numbers is None else Estimate(*numbers, 0.95)
    distance = None if numbers is None else numbers[0] - 2
    part = PartResult("2x faster at p99", Promise.FASTER, verdict, estimate, distance, 1.0, 1.0, 24,
                      1.4)  # fmt: skip
    alone = alone or verdict
    kept = {
        "adjusted_confirm": adjusted if alone is Verdict.CONFIRMED else 1.0,
        "adjusted_refute": adjusted if alone is Verdict.REFUTED else 1.0,
    }
    reason = Reason(code, f"p99 of {endpoint}: {code.value}")
    return EndpointResult(
        endpoint, "chg-1", traffic, (1000, 1100), alone, verdict, reason, (part,), **kept
    )
