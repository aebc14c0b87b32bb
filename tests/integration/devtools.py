"""Driving a headless Chromium over its DevTools protocol: pages, scripts, input, pictures, and what it asked the network for."""

import asyncio
import base64
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
)
STARTS_WITHIN_S, ANSWERS_WITHIN_S = 30.0, 30.0


def find_browser() -> str | None:
    """TRACKMILL_CHROMIUM, or a Chromium on the PATH."""
    return os.environ.get("TRACKMILL_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One tab. Remembers errors, dialogs and requests of the page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        self._listener = asyncio.create_task(self._listen())

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One command of the protocol and its answer."""
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": arguments})
        return await asyncio.wait_for(answer, ANSWERS_WITHIN_S)

    async def open(self, page: Path) -> None:
        """Load a file, and wait until it is there."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        self._loaded.clear()
        await self.call("Page.navigate", url=page.resolve().as_uri())
        await asyncio.wait_for(self._loaded.wait(), ANSWERS_WITHIN_S)

    async def value(self, script: str) -> Any:
        """What an expression gives, awaited if it is a promise."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        for _ in range(200):
            if await self.value(script):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}")

    async def press(self, key: str) -> None:
        """A key, where the focus is."""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code="Space" if key == " " else key)

    async def picture(self, path: Path, *, width: int, height: int | None = None, dark: bool = False, mobile: bool = False) -> None:
        """A PNG of the page at this width; as high as the page without a height."""
        view = {"width": width, "height": height or 900, "deviceScaleFactor": 2 if mobile else 1, "mobile": mobile}
        await self.call("Emulation.setDeviceMetricsOverride", **view)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)
        await asyncio.sleep(0.6)
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=height is None)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def close(self) -> None:
        """Stop listening."""
        self._listener.cancel()
        await self._socket.close()

    async def _listen(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                answer = self._answers.pop(event["id"])
                if not answer.done():
                    answer.set_result(event.get("result", {"exceptionDetails": event.get("error")}))
                continue
            await self._note(event["method"], event.get("params", {}))

    async def _note(self, method: str, found: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(found["message"])
            await self._socket.send_json({"id": -1, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}})
            self._answers[-1] = asyncio.get_running_loop().create_future()
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(found["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and found["type"] in ("error", "warning", "assert"):
            self.errors.append(str(found["args"]))
        elif method == "Log.entryAdded" and found["entry"]["level"] in ("error", "warning"):
            self.errors.append(found["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not found["request"]["url"].startswith("data:"):
            self.requests.append(found["request"]["url"])


@asynccontextmanager
async def browser_tab(browser: str, profile: Path) -> AsyncIterator[Tab]:
    """A fresh browser with one tab; it ends with the block."""
    arguments = [browser, *OPTIONS, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = await _port(profile / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            tab = Tab(await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0))
            try:
                yield tab
            finally:
                await tab.close()
    finally:
        process.terminate()
        process.wait(timeout=20)


async def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    for _ in range(int(STARTS_WITHIN_S / 0.05)):
        if process.poll() is not None:
            raise AssertionError(f"the browser ended with {process.returncode} before it answered")
        if file.exists() and (lines := file.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(0.05)
    raise AssertionError(f"the browser did not answer within {STARTS_WITHIN_S} s")
