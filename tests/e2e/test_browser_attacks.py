"""A page of somebody else's in a real Chromium cannot push to a nibai without a token, nor read."""

import base64
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import otlp

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COMMAND = [sys.executable, "-c", "from nibai.cli import main; main()"]
# Without a content type a browser asks nobody beforehand whether it may post.
PAGE = """<!doctype html><title>evil</title><pre id="told">waiting</pre><script>
const bytes = Uint8Array.from(atob("{payload}"), (sign) => sign.charCodeAt(0));
const told = document.getElementById("told");
fetch("{url}/v1/traces", {{method: "POST", mode: "no-cors", body: bytes}}).then(
  (answer) => told.textContent = "sent " + answer.type, (error) => told.textContent = error);
</script>"""

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: nibai was not attacked from a browser")
    return found


@pytest.fixture
def url(tmp_path):
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [*COMMAND, "run", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0",
         "--ready-file", str(ready)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert time.monotonic() < deadline, "nibai run did not start"
        time.sleep(0.05)
    yield ready.read_text()
    process.kill()
    process.wait()


@pytest.fixture
def payload(monkeypatch):
    monkeypatch.setattr(otlp, "END", time.time_ns())
    return otlp.request([{}], service_name="ocr").SerializeToString()


def opened(browser, folder, address):
    """The document that the browser has of an address; every name leads to this machine."""
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * 127.0.0.1",
        "--virtual-time-budget=5000", "--dump-dom", address,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


def rows(url):
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:  # noqa: S310 - our own
        return json.load(answer)["rows"]


def serve(page):
    """Somebody else's server on this machine."""

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_page_of_another_origin_can_push_nothing(browser, url, payload, tmp_path):
    page = PAGE.format(payload=base64.b64encode(payload).decode(), url=url)
    server = serve(page)
    told = opened(browser, tmp_path, f"http://evil.example:{server.server_port}/")
    server.shutdown()
    server.server_close()
    assert '<pre id="told">sent opaque</pre>' in told, "the browser did send it"
    assert rows(url) == 0
    kind = {"content-type": "application/x-protobuf"}
    post = urllib.request.Request(f"{url}/v1/traces", payload, kind)  # noqa: S310 - our own
    urllib.request.urlopen(post, timeout=10).close()  # noqa: S310 - same
    assert rows(url) == 1, "a program may"


def test_a_name_that_was_made_to_point_here_reads_nothing(browser, url, tmp_path):
    port = url.rpartition(":")[2]
    told = opened(browser, tmp_path, f"http://evil.example:{port}/audits")
    assert "<h1>Not this way</h1>" in told
    assert "not to evil.example" in told
    own = opened(browser, tmp_path, f"http://localhost:{port}/audits")
    assert "<h1>Audits</h1>" in own
