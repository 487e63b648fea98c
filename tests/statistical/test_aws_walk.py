"""A user's first day, from an empty folder to a verdict: every text word by word."""

import pytest
from fakeaws.pricing import Pricing
from fakeaws.sagemaker import variant
from support.aws_world import DAY, NOW, World, scrubbed

pytestmark = pytest.mark.slow
BLUE = ("chat", "blue")
HOURS = 6


class Walk:
    """Commands with what they said, one after the other."""

    def __init__(self, world):
        self.world, self.lines = world, []

    def run(self, *arguments):
        code, out, err = self.world.nibai(*arguments)
        shown = " ".join(f'"{one}"' if " " in one else one for one in arguments)
        self.lines += [f"$ nibai {shown}", out + err + f"[exit {code}]", ""]
        return code, out


def test_the_first_day(tmp_path, monkeypatch, golden):
    pricing = Pricing(("ml.g5.xlarge", "eu-west-1", "Hosting", 1.6),
                      ("ml.g6.xlarge", "eu-west-1", "Hosting", 1.2))  # fmt: skip
    world = World(tmp_path, monkeypatch, requests=80, pricing=pricing)
    walk, aws = Walk(world), world.aws
    aws.config("c1", variant("blue", aws.model("m1")))
    aws.endpoint("chat", "c1")
    walk.run("changes", "list")
    walk.run("audit")
    walk.run("init", "--sagemaker", "chat-prod", "--region", "eu-west-1")
    assert walk.run("init", "--sagemaker", "chat", "--region", "eu-west-1")[0] == 0
    walk.lines += ["$ cat nibai.yaml", (tmp_path / "nibai.yaml").read_text(encoding="utf-8")]
    walk.run("changes", "discover", "--once")
    world.minutes(HOURS * 60 + 5, {BLUE: 1.0}, 5)
    walk.run("doctor")
    aws.now = NOW + DAY - 1200
    walk.run("changes", "discover", "--once")
    aws.config("c2", variant("blue", "m1", kind="ml.g6.xlarge"))
    aws.begin("chat", "c2")
    world.minutes(10, {BLUE: (6, 1 / 1.7)}, 5)
    walk.run("changes", "discover", "--once")
    world.minutes(10, {BLUE: (6, 1 / 1.7)}, 5)
    aws.finish("chat")
    walk.run("changes", "discover", "--once")
    walk.run("audit")
    walk.run("collect", "--dry-run")
    walk.run("collect", "--once")
    walk.run("audit")
    world.minutes(HOURS * 60 + 5, {BLUE: 1 / 1.7}, 5)
    world.wait(240)
    walk.run("changes", "discover", "--once")
    walk.run("collect", "--once")
    walk.run("changes", "list")
    walk.run("audit")
    walk.run("audit", "--claim", "model_latency 1.5x faster at p50 and p90")
    walk.run("audit", "--claim", "ttft 2x faster at p50")
    walk.run("audit", "--claim", "2x faster")
    walk.run("audit", "--claim", "1.2x cheaper")
    walk.run("audit", "list")
    golden("aws_walk.txt", scrubbed("\n".join(walk.lines)))
