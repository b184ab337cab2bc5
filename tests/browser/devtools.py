"""A headless Chromium driven over its DevTools pipe: standard library only, no driver, no port.

The browser reads commands on file descriptor 3 and answers on 4, JSON ended by a zero byte. Every console message,
uncaught exception and network request of a page is recorded, so that a test can say that there was none.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
ANSWER_TIMEOUT_S = 60.0


def find_chromium() -> str | None:
    """Path of the browser: REPROZOO_CHROMIUM, or the first of the usual names on PATH."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chosen = os.environ.get("REPROZOO_CHROMIUM")
    return chosen or next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One page of a fresh, throw-away profile; use it as a context manager.

    Attributes:
        console: texts of console messages of level warning and error, and of uncaught exceptions.
        requests: URLs that the page asked for, the page itself included.
    """

    def __init__(self, executable: str, profile: Path, *, width: int = 1280, height: int = 900) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        self._count = 0
        self._buffer = b""
        self._process, self._write, self._read = _start(executable, profile)
        try:
            self._session = self._attach()
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and everything that it started (its own process group)."""
        for descriptor in (self._write, self._read):
            os.close(descriptor)
        try:
            self._process.wait(timeout=5)  # a closed pipe asks it to leave
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def call(self, method: str, **params: Any) -> Any:
        """Send one DevTools command to the page and return its result."""
        return self._call(method, params, session=self._session)

    def resize(self, width: int, height: int) -> None:
        """Set the viewport, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def emulate(self, *, media: str = "", **features: str) -> None:
        """Pretend a medium ("print") and media features, e.g. ``prefers_color_scheme="dark"``."""
        pairs = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media=media, features=pairs)

    def open(self, url: str) -> None:
        """Load a page and wait for its load event."""
        self._loaded = False
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise AssertionError(f"{url} did not open: {answer['errorText']}")
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not self._loaded:
            self._dispatch(self._receive(deadline))

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page; an exception in it is an AssertionError."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"], indent=1))
        return answer["result"].get("value")

    def press(self, key: str, *, code: str | None = None, text: str = "") -> None:
        """Press and release one key, as a person would."""
        codes = {"Enter": 13, "Tab": 9, " ": 32, "ArrowRight": 39, "ArrowDown": 40}
        base = {"key": key, "code": code or key, "windowsVirtualKeyCode": codes.get(key, 0)}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **base)
        self.call("Input.dispatchKeyEvent", type="keyUp", **base)

    def screenshot(self, path: Path, *, full: bool = True) -> None:
        """Write a PNG of the page, the whole of it or the viewport."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        path.write_bytes(base64.b64decode(answer["data"]))

    def print_pdf(self, path: Path) -> None:
        """Write what printing the page would give."""
        answer = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _attach(self) -> str:
        targets = self._call("Target.getTargets", {}, session=None)["targetInfos"]
        page = next((t["targetId"] for t in targets if t["type"] == "page"), None)
        page = page or self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": page, "flatten": True}, session=None)
        return str(attached["sessionId"])

    def _call(self, method: str, params: dict[str, Any], *, session: str | None) -> Any:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while (answer := self._receive(deadline)).get("id") != self._count:
            self._dispatch(answer)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"Chromium did not answer within {ANSWER_TIMEOUT_S:.0f} s")
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise ConnectionError(f"Chromium ended with code {self._process.poll()}")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _dispatch(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.console.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.console.append(params["entry"]["text"])


def _start(executable: str, profile: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, a descriptor to write commands to and one to read answers from.

    A shell hands the two pipes over as 3 and 4: descriptors cannot be renumbered by ``subprocess`` itself.
    """
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    script = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$0" "$@"'
    process = subprocess.Popen(
        ["bash", "-c", script, executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    return process, ours_out, ours_in
