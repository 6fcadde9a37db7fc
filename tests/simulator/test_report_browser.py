"""The report in a real browser: it draws everything, offline, without errors, within the width of a laptop and of a phone.

Chromium is driven over the DevTools protocol through a pipe: no port, no network, nothing to install beside the browser.
"""

import json
import os
import shutil
import subprocess

import pytest

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: the report is not opened in a browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)

DRAWN = """patience => new Promise((kept, broken) => {
  const look = left => document.documentElement.dataset.drawn ? kept(true) : left ? setTimeout(look, 50, left - 1) : broken("not drawn");
  look(patience);
})"""
SMALL = """Array.from(document.querySelectorAll("body *")).filter(
  node => Array.from(node.childNodes).some(inner => inner.nodeType === 3 && inner.data.trim()) && node.getClientRects().length
          && !node.closest("script, style") && parseFloat(getComputedStyle(node).fontSize) < 12
).map(node => node.textContent.slice(0, 40))"""
OUTSIDE = """Array.from(document.querySelectorAll("body *")).filter(
  node => node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 1
).map(node => node.tagName + "." + node.getAttribute("class"))"""


class Browser:
    """One browser process with one page; a context manager. `events` holds what the page reported since it was opened."""

    def __init__(self, profile):
        self.events = []
        self._profile, self._last, self._rest = profile, 0, b""
        self._session = None

    def __enter__(self):
        (commands, self._to), (self._from, replies) = os.pipe(), os.pipe()
        line = f'exec "$0" "$@" 3<&{commands} 4>&{replies}'
        arguments = ["bash", "-c", line, CHROMIUM, *FLAGS, f"--user-data-dir={self._profile}"]
        self._process = subprocess.Popen(arguments, pass_fds=(commands, replies), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(replies)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *error):
        self._session = None
        os.write(self._to, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)

    def call(self, method, **params):
        """One command and its result; raises RuntimeError with the browser's words."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": self._session} if self._session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (reply := self._next()).get("id") != self._last:
            self.events.append(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def open(self, url, width, height, patience=10):
        """Open a page in a viewport and wait so many seconds at most until its figures are drawn; raises RuntimeError if they are not."""
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Page.navigate", url=url)
        while not self.reported("Page.loadEventFired"):
            self.events.append(self._next())
        self.evaluate(f"({DRAWN})({20 * patience})")

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page, that of a promise when it is kept."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def reported(self, method):
        """The parameters of the events of one kind."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def _next(self):
        while b"\0" not in self._rest:
            chunk = os.read(self._from, 1 << 16)
            if not chunk:
                raise RuntimeError("the browser has gone")
            self._rest += chunk
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(made_up, tmp_path):
    made_up().report(tmp_path / "report.html")
    return (tmp_path / "report.html").as_uri()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_report_is_drawn_whole_within_the_width_of_the_screen(browser, page, width, height):
    browser.open(page, width, height)
    assert browser.evaluate("innerWidth") == width
    assert browser.reported("Runtime.exceptionThrown") == []
    assert [entry["entry"]["text"] for entry in browser.reported("Log.entryAdded") if entry["entry"]["level"] == "error"] == []
    assert [sent["request"]["url"] for sent in browser.reported("Network.requestWillBeSent")] == [page]
    figures = browser.evaluate("document.querySelectorAll('.plot').length")
    assert figures >= 15
    assert (
        browser.evaluate("Array.from(document.querySelectorAll('.plot')).filter(each => each.querySelector('svg.main-svg')).length")
        == figures
    )
    assert browser.evaluate("document.documentElement.dataset.drawn") == str(figures)
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.evaluate(OUTSIDE) == []
    assert browser.evaluate(SMALL) == []


def test_it_also_fits_with_everything_unfolded(browser, page):
    browser.open(page, 390, 844)
    browser.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") >= 3
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert browser.evaluate(SMALL) == []


def test_it_follows_the_readers_preference_and_prints_on_white(browser, page):
    """Text and figures turn light on dark when the reader's system does, without loading again; on paper they are dark on white."""
    colours = "[getComputedStyle(document.body).color, document.querySelector('#plot-queue .xtitle').style.fill].join(' ')"
    seen = f"new Promise(kept => setTimeout(() => kept({colours}), 500))"  # the page is told of the change with the next frame
    light, dark = "rgb(26, 31, 36)", "rgb(230, 234, 238)"
    browser.open(page, 1280, 800)
    assert browser.evaluate(seen) == f"{light} {light}"
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.evaluate(seen) == f"{dark} {dark}"
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate(seen) == f"{light} {light}"
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate(seen) == f"{dark} {dark}"
    browser.call("Emulation.setEmulatedMedia", features=[])


def test_a_figure_that_cannot_be_drawn_says_so(browser, page, tmp_path):
    html = (tmp_path / "report.html").read_text().replace("Plotly.react(node", "Promise.reject(new Error('no pencil'), node")
    (tmp_path / "broken.html").write_text(html)
    with pytest.raises(RuntimeError, match="not drawn"):
        browser.open((tmp_path / "broken.html").as_uri(), 390, 844, patience=1)
    assert browser.evaluate("document.querySelector('.failure').textContent") == "This figure could not be drawn: Error: no pencil"
