"""A headless Chromium that a test moves the mouse in and types into, over the pipe of its DevTools protocol."""

import base64
import json
import os
import select
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PATIENCE = 120  # seconds
CODES = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
SHIFT = 8


class Browser:
    """One page of one browser."""

    def __init__(self, profile):
        theirs_in, self._into = os.pipe()
        self._from, theirs_out = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = ["bash", "-c", script, str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._number, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **params):
        """The result of one command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._into, json.dumps(message).encode() + b"\0")
        while (answer := self._next_message()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next_message(self):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], PATIENCE)
            part = os.read(self._from, 1 << 20) if ready else b""
            assert part, "the browser is silent"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def open(self, address, size=(1280, 1000)):
        """Load a page at this size and wait until it is drawn."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.settle()

    def settle(self):
        """Wait for the document, then for two frames."""
        self.run(
            "new Promise((done) => { const drawn = () => requestAnimationFrame(() => requestAnimationFrame(done));"
            " if (document.readyState === 'complete') drawn(); else addEventListener('load', drawn); })"
        )

    def run(self, script):
        """The value of an expression of the page's."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key, *, shift=False):
        """One key, down and up."""
        held = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key], "modifiers": SHIFT * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown", **held)
        self.call("Input.dispatchKeyEvent", type="keyUp", **held)

    def drag(self, *places):
        """The mouse, its button down at the first place and up at the last."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*places, places[-1]], strict=True):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def picture(self):
        """The page as the bytes of a png."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._into)
        os.close(self._from)
