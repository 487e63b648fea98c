"""What a claim about predictions needs, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nibai.app.plan_pairs import PairsPlan


def lines(plan: PairsPlan) -> list[str]:
    """Margin, pairs and their cost in requests, a line each."""
    if plan.margin is None or plan.reason is not None:
        return [f"pairs     {plan.reason}"]
    if plan.accuracy:
        any_look = [
            f"{n:,} where {_percent(share)}" for share, n, _ in plan.accuracy if n is not None
        ]
        once = ", ".join(f"{n:,}" for _, _, n in plan.accuracy)
        return [
            f"pairs     {', '.join(any_look)} of answers get right or wrong and accuracy stays",
            f"one look  {once}, at a file of so many pairs (80 % power)",
        ]
    confirm = [
        f"{row.pairs:,} {_at(row.share_of_margin * plan.margin)}"
        for row in plan.rows
        if row.confirms
    ]
    refute = [
        f"{row.pairs:,} {_at(row.share_of_margin * plan.margin)}"
        for row in plan.rows
        if not row.confirms
    ]
    proposed = ", a proposal: “within N%” states yours" if plan.source != "stated" else ""
    wanted = "" if plan.wanted is None else f"{plan.wanted:,} wanted, "
    cost = "" if plan.requests is None else f": {plan.requests:,} for the wanted pairs"
    return [
        f"margin    {_percent(plan.margin)} of answers ({plan.source}{proposed})",
        f"pairs     {wanted}never judged below {plan.floor}",
        f"confirm   after {', '.join(confirm)}",
        f"refute    after {', '.join(refute)}",
        f"requests  4 per input when replayed, both variants twice{cost}",
    ]


def _at(share: float) -> str:
    return f"if {_percent(share)} change" if share else "if none changes"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
