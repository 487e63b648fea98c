"""Until when an endpoint's pulled sources count as read."""

import pytest

from nibai.store.state.database import open_state
from nibai.store.state.freshness import FORGOTTEN_SECONDS, read_until

ENDPOINT = "sagemaker/123456789012.eu-west-1/chat"
SOURCE = "cloudwatch-123456789012-eu-west-1"
NOW = 1_764_000_000.0


@pytest.mark.parametrize(
    ("behind", "until"),
    [(FORGOTTEN_SECONDS, NOW - FORGOTTEN_SECONDS), (FORGOTTEN_SECONDS + 60.0, NOW)],
)
def test_a_renamed_variant_counts_for_three_days(tmp_path, behind, until):
    state = open_state(tmp_path / "state.db")
    marks = {
        f"AWS/SageMaker/ModelLatency/EndpointName=chat,VariantName={variant}": at
        for variant, at in (("old", NOW - behind), ("new", NOW))
    }
    state.set_read_until(SOURCE, marks)
    assert read_until(state, ENDPOINT) == (SOURCE, until)
    state.close()
