"""The policy allows what the code asks AWS for, and nothing else."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLICY = json.loads((ROOT / "deploy" / "iam" / "nibai-read.json").read_text(encoding="utf-8"))


def asked():
    """Operations that collectors call, as `service:Operation`, from the texts of their errors."""
    client = (ROOT / "collector" / "cloudwatch" / "client.py").read_text(encoding="utf-8")
    calls = re.findall(r'_call\("(\w+)", self\._client\.(\w+)', client)
    assert all(_snake(operation) == method for operation, method in calls)
    return {f"cloudwatch:{operation}" for operation, _ in calls}


def _snake(operation):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def test_the_policy_holds_exactly_what_is_called():
    allowed = {action for statement in POLICY["Statement"] for action in statement["Action"]}
    assert allowed == asked() != set()


def test_the_policy_only_reads():
    for statement in POLICY["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            assert re.match(r"\w+:(Get|List|Describe|Lookup|BatchGet)", action), action
