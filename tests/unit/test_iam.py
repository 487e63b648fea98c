"""The policy allows what the code asks AWS for, and nothing else.

Operations are literals where they are called (`caller.call("DescribeEndpoint", …)`,
`pages(caller, "ListEndpoints", …)`), services where clients
are built (`AwsClient("sagemaker", …)`).
"""

import ast
import json
import re
from functools import cache
from pathlib import Path

from fakeaws.server import service_model

from collector.aws.errors import action
from collector.promql.cloudwatch import ACTIONS

ROOT = Path(__file__).parents[2]
POLICY = json.loads((ROOT / "deploy" / "iam" / "nibai-read.json").read_text(encoding="utf-8"))
OWN = ROOT / "collector" / "aws"
SETTLED = {"sqs:DeleteMessage"}
"""Not a read of AWS's state: an event that was kept is taken from the user's own queue."""


@cache
def calls():
    """Every call in the collectors, as (file, name of the function, its node)."""
    return list(found_calls())


def found_calls():
    for path in sorted((ROOT / "collector").rglob("*.py")):
        if path.parent == OWN:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, getattr(node.func, "attr", getattr(node.func, "id", "")), node


def literal(path, node, place):
    argument = node.args[place]
    assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: not a literal"
    return argument.value


def asked():
    """Permissions that the collectors need."""
    places = {"call": 0, "pages": 1, "each_page": 1}
    operations = {(p, literal(p, n, places[name])) for p, name, n in calls() if name in places}
    services = {literal(p, n, 0) for p, name, n in calls() if name == "AwsClient"}
    named = {(p, literal(p, n, 0)) for p, name, n in calls() if name in {"AwsClient", "services"}}
    found = set()
    for path, operation in operations:
        having = [s for s in sorted(services) if operation in service_model(s).operation_names]
        if len(having) > 1:  # two services call it the same: the file says which it asks
            having = [s for s in having if (path, s) in named]
        assert len(having) == 1, f"{operation} is of {having or 'no service that is asked'}"
        found.add(action(having[0], operation))
    return found


def test_the_policy_holds_exactly_what_is_called():
    allowed = {action for statement in POLICY["Statement"] for action in statement["Action"]}
    assert allowed == asked() | set(ACTIONS) != set(ACTIONS)


def test_the_policy_only_reads():
    for statement in POLICY["Statement"]:
        assert statement["Effect"] == "Allow"
        for one in set(statement["Action"]) - SETTLED:
            reads = r"\w+:(Get|Query|List|Describe|Lookup|BatchGet|Receive|Start(Query|TraceRe))"
            assert re.match(reads, one), one


def test_models_and_captures_are_read_in_their_own_buckets_only():
    resources = {
        (action, statement["Resource"])
        for statement in POLICY["Statement"]
        for action in statement["Action"]
        if action.startswith("s3:")
    }
    assert resources == {
        (action, f"arn:aws:s3:::{what}_BUCKET{path}")
        for what in ("CAPTURE", "MODEL", "BENCHMARK")
        for action, path in (("s3:GetObject", f"/{what}_PREFIX/*"), ("s3:ListBucket", ""))
    }
