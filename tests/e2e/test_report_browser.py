"""The report in a real browser, without network: it shows its charts and fits a phone."""

import json
import re
import shutil
import subprocess

import pytest
from support import audits

from dashboards import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROBE = """<script>addEventListener("load", () => {
  const shown = [...document.querySelectorAll("figure svg")].filter(s => s.clientWidth > 100);
  const out = document.createElement("pre");
  out.textContent = JSON.stringify({charts: shown.length, page: document.body.scrollWidth,
    window: document.documentElement.clientWidth,
    loaded: performance.getEntriesByType("resource").length,
    verdict: document.querySelector(".badge").textContent});
  out.id = "probe"; document.body.append(out); });</script>"""

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: the report was not opened in a browser")
    return found


def chromium(browser, folder, *arguments):
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={folder / 'profile'}",
        # Every name and address leads nowhere: a report that loads anything fails here.
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--proxy-server=127.0.0.1:9",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return done.stdout


def looked_at(browser, folder, width):
    """What the page says about itself in a frame of a phone or a desk."""
    page = report.build({}).render(audits.mixed())
    # The probe is a script, which the report's own policy forbids: it comes with its own page.
    page = re.sub(r"<meta http-equiv=[^>]*>", "", page).replace("</body>", PROBE + "</body>")
    (folder / "report.html").write_text(page, encoding="utf-8")
    dom = chromium(
        browser,
        folder,
        f"--window-size={width},2000",
        "--virtual-time-budget=3000",
        "--dump-dom",
        (folder / "report.html").as_uri(),
    )
    found = re.search(r'<pre id="probe">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the page did not finish loading"
    return found[1]


@pytest.mark.parametrize("width", [520, 1200])
def test_the_report_shows_its_charts_and_fits(browser, tmp_path, width):
    said = json.loads(looked_at(browser, tmp_path, width))
    assert said["charts"] == 5, "each chart once, in the size that fits"
    assert said["page"] <= said["window"], "no sideways scrolling"
    assert said["loaded"] == 0
    assert "refuted" in said["verdict"]


def test_a_screenshot_and_a_print_come_out(browser, tmp_path):
    target = tmp_path / "report.html"
    target.write_text(report.build({}).render(audits.hostile()), encoding="utf-8")
    picture, paper = tmp_path / "report.png", tmp_path / "report.pdf"
    chromium(browser, tmp_path, f"--screenshot={picture}", target.as_uri())
    chromium(browser, tmp_path, f"--print-to-pdf={paper}", target.as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000, "not an empty page"
    assert paper.read_bytes().startswith(b"%PDF")
