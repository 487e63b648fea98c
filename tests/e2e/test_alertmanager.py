"""A real Alertmanager: what nibai posts fires there, does not end by itself, and ends when told."""

import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import pytest
import yaml
from support import notices, replay_server
from support.replay_server import Reply

from alerts import alertmanager
from nibai.errors import NotifyError
from nibai.protocols import Surroundings

PROGRAM = next(filter(shutil.which, ("prometheus-alertmanager", "alertmanager")), None)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        PROGRAM is None, reason="no Alertmanager: apt-get install prometheus-alertmanager"
    ),
]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(folder, webhook):
    """Its address, once it answers."""
    hook = {"url": webhook, "send_resolved": True}
    settings = {
        "route": {
            "receiver": "hook", "group_by": ["change"], "group_wait": "100ms",
            "group_interval": "1s", "repeat_interval": "1h",
        },
        "receivers": [{"name": "hook", "webhook_configs": [hook]}],
    }  # fmt: skip
    (folder / "am.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    url = f"127.0.0.1:{free_port()}"
    words = [
        PROGRAM, f"--config.file={folder / 'am.yml'}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (folder / "am.log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://{url}/-/ready"))
        yield f"http://{url}"
    finally:
        process.terminate()
        process.wait(10)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - loopback
            return response.status == 200
    except OSError:
        return False


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited for too long"
        time.sleep(0.05)


def now(notice, **more):
    """The notice as if it happened now."""
    at = time.time()
    alerts = tuple(replace(a, fired_at=at - 60.0, changed_at=at, **more) for a in notice.alerts)
    return replace(notice, alerts=alerts)


def test_firing_and_resolved_reach_a_webhook_through_a_real_alertmanager(tmp_path):
    heard = []

    def hear(request):
        heard.append(request.body)
        return Reply(body={})

    with replay_server.serve(hear) as hook, running(tmp_path, hook.url) as url:
        around = Surroundings({}, lambda _audit: None, time.time)
        cluster = alertmanager.build({"urls": [url], "surroundings": around})
        for _ in range(3):
            cluster.notify(now(notices.several()))
        wait_for(lambda: heard)
        cluster.notify(now(notices.several()))
        (first,) = heard
        assert (first["status"], len(first["alerts"])) == ("firing", 2)
        labels = {alert["labels"]["claim"] for alert in first["alerts"]}
        assert labels == {alert.labels["claim"] for alert in notices.several().alerts}
        assert first["alerts"][0]["annotations"]["figures"]
        ended = now(notices.resolved(notices.refuted()))
        cluster.notify(ended)
        wait_for(lambda: any("resolved" in states(body) for body in heard))
        last = heard[-1]
        (over,) = [alert for alert in last["alerts"] if alert["status"] == "resolved"]
        assert over["labels"] == dict(ended.alerts[0].labels)
        assert last["status"] == "firing", "the other claim still fires"


def states(body):
    return {alert["status"] for alert in body["alerts"]}


def test_hostile_text_is_taken_as_it_is(tmp_path):
    heard = []

    def hear(request):
        heard.append(request.body)
        return Reply(body={})

    with replay_server.serve(hear) as hook, running(tmp_path, hook.url) as url:
        around = Surroundings({}, lambda _audit: None, time.time)
        cluster = alertmanager.build({"urls": [url], "surroundings": around})
        notice = now(notices.firing(notices.hostile()))
        cluster.notify(notice)
        wait_for(lambda: heard)
        assert heard[0]["alerts"][0]["labels"] == dict(notice.alerts[0].labels)
        bad = replace(notice.alerts[0], labels={"not a name": "x"})
        with pytest.raises(NotifyError) as caught:
            cluster.notify(replace(notice, alerts=(bad,)))
        assert not caught.value.retryable
