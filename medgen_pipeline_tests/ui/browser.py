"""A headless Chromium, driven through its own driver by WebDriver's HTTP interface (W3C).

It takes a handful of that interface's calls, and no library beyond an HTTP client.
"""

import base64
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2

from medgen_pipeline_tests.defs.live import free_port, wait_for

DRIVER: Final = shutil.which("chromedriver")
BROWSER: Final = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1500,1300"),
)
ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference, by the standard
ESCAPE: Final = "\ue00c"  # by the standard
SECONDS_TO_APPEAR: Final = 60.0  # on cores that others use

T = TypeVar("T")


class NotDoneError(Exception):
    """The browser could not do what was asked."""


class Browser:
    """One window."""

    def __init__(self, session: httpx2.Client) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Go to a page."""
        self._post("url", url=url)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  JSON
        """Return what a script returns in the page."""
        return self._post("execute/sync", script=script, args=list(arguments))

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.run("return document.body.innerText"))

    def see(self, *words: str) -> None:
        """Wait until the page shows all of these."""
        self.until(lambda: all(word in self.text() for word in words), f"{words} to be seen")

    def click(self, text: str, *, tag: str = "*", within: str = "") -> None:
        """Click the last of what shows exactly this text, once it is there and enabled."""
        self.until(lambda: self.clicked(text, tag=tag, within=within), f"{text!r} to be clicked")

    def press_escape(self) -> None:
        """Press the key that closes what is open."""
        keys = [{"type": kind, "value": ESCAPE} for kind in ("keyDown", "keyUp")]
        self._post("actions", actions=[{"type": "key", "id": "keys", "actions": keys}])

    def until(self, condition: Callable[[], T], what: str) -> T:
        """Return the first true answer."""
        return wait_for(condition, SECONDS_TO_APPEAR, lambda: f"{what}\n{self.text()}")

    def screenshot(self, path: Path) -> None:
        """Keep a picture of the window."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._get("screenshot")))

    def clicked(self, text: str, *, tag: str = "*", within: str = "") -> bool:
        """Click as `click` does, if it can be done now; return whether it was."""
        path = f"{within}//{tag}[normalize-space()={text!r} and not(@disabled)]"
        for found in reversed(self._post("elements", using="xpath", value=path)):
            with contextlib.suppress(NotDoneError):  # it may move, be covered, or not be shown
                self._post(f"element/{found[ELEMENT]}/click")
                return True
        return False

    def _post(self, path: str, **body: object) -> Any:  # noqa: ANN401  JSON
        return _value(self._session.post(path, json=body))

    def _get(self, path: str) -> Any:  # noqa: ANN401  JSON
        return _value(self._session.get(path))


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; end both it and its driver."""
    port = free_port()
    with (folder / "chromedriver.log").open("wb") as log:
        driver = subprocess.Popen(
            [DRIVER or "", f"--port={port}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that the browser's many processes can be ended with it
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            wait_for(lambda: _answers(client), SECONDS_TO_APPEAR, lambda: "the driver is silent")
            options = {
                "binary": BROWSER,
                "args": [*FLAGS, f"--user-data-dir={folder / 'profile'}"],
            }
            wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
            made = _value(client.post("/session", json={"capabilities": wanted}))
            session = f"http://127.0.0.1:{port}/session/{made['sessionId']}"
            client.base_url = f"{session}/"
            try:
                yield Browser(client)
            finally:
                _value(client.delete(session))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def _answers(client: httpx2.Client) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return bool(client.get("/status").json()["value"]["ready"])
    return False


def _value(answer: httpx2.Response) -> Any:  # noqa: ANN401  JSON
    value = answer.json()["value"]
    if not answer.is_success:
        raise NotDoneError(f"{value['error']}: {value['message'].splitlines()[0]}")
    return value
