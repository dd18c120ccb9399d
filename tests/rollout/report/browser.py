"""A real headless Chromium, driven through its DevTools protocol: what a page does, and how it measures."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-port=0",
    # Nothing but this machine can be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)

TOOLS: Final = """(() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('body *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.right > width + 1 && box.width > 1 && !one.closest('.away, thead');
  });
  return {
    width, scroll: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    wide: wide.slice(0, 5).map(one => one.tagName + '.' + (one.className.baseVal ?? one.className)),
    scripts: document.scripts.length, images: document.images.length,
    handlers: [...document.querySelectorAll('*')].filter(
      one => [...one.attributes].some(a => a.name.startsWith('on') || a.name === 'style')).length,
    links: document.querySelectorAll('[href], [src], iframe, object, embed, form').length,
    background: getComputedStyle(document.body).backgroundColor,
    plots: [...document.querySelectorAll('.plot')].map(one => one.getBoundingClientRect().width),
    cells: [...new Set([...document.querySelectorAll('td:not(:empty)')].map(one => getComputedStyle(one).display))],
    smallest: Math.min(...[...document.querySelectorAll('svg text, td, th, span, p')].map(
      one => parseFloat(getComputedStyle(one).fontSize))),
    text: document.body.innerText,
  };
})()"""


def browser() -> str | None:
    """Where a browser is; None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The result of showing a page.

    Attributes:
        requests: The addresses that were asked for.
        complaints: What went to the console or the log, violations of the policy included.
        measures: What `TOOLS` says.
        picture: A screenshot, as PNG.
    """

    requests: tuple[str, ...]
    complaints: tuple[str, ...]
    measures: dict[str, Any]
    picture: bytes


@dataclass(slots=True)
class Tab:
    """One tab of the browser."""

    socket: ClientWebSocketResponse
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    _calls: int = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; what happens meanwhile is kept in `events`."""
        self._calls += 1
        await self.socket.send_json({"id": self._calls, "method": method, "params": params})
        while True:
            message = await self._next()
            if message.get("id") == self._calls:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    async def until(self, method: str) -> None:
        """Wait for an event."""
        while not any(event["method"] == method for event in self.events):
            await self._next()

    async def _next(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.socket.receive(), 60)
        assert message.type is WSMsgType.TEXT, message
        found: dict[str, Any] = json.loads(message.data)
        if "method" in found:
            self.events.append(found)
        return found

    async def visit(
        self,
        address: str,
        *,
        width: int = 1280,
        height: int = 900,
        phone: bool = False,
        scheme: Literal["light", "dark"] = "light",
        opened: bool = False,
        whole: bool = False,
    ) -> Visit:
        """Show a page, measure it, and take a picture.

        Args:
            address: Its URL.
            width: Of the window, in CSS pixels.
            height: Of the window.
            phone: Whether it is a phone's.
            scheme: What the reader prefers.
            opened: Whether to open what can be opened.
            whole: Whether the picture is of the whole page.
        """
        self.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        await self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        self.events.clear()
        await self.call("Page.navigate", url=address)
        await self.until("Page.loadEventFired")
        if opened:
            await self._evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        measures = await self._evaluate(TOOLS)
        picture = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return Visit(
            requests=tuple(
                event["params"]["request"]["url"]
                for event in self.events
                if event["method"] == "Network.requestWillBeSent"
            ),
            complaints=tuple(
                json.dumps(event["params"])
                for event in self.events
                if event["method"]
                in (
                    "Runtime.consoleAPICalled",
                    "Runtime.exceptionThrown",
                    "Log.entryAdded",
                    "Audits.issueAdded",
                    "Page.javascriptDialogOpening",
                )
            ),
            measures=measures,
            picture=base64.b64decode(picture["data"]),
        )

    async def _evaluate(self, script: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


@asynccontextmanager
async def open_tab(program: str, profile: Path) -> AsyncGenerator[Tab]:
    """A new browser with one tab.

    Args:
        program: Where the browser is.
        profile: A folder for its data.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    reader: asyncio.Task[bytes] | None = None
    try:
        address = b""
        while b"DevTools listening on " not in address:
            address = await asyncio.wait_for(process.stderr.readline(), 60)
            assert address, "the browser ended"
        reader = asyncio.create_task(process.stderr.read())
        host = address.split(b"ws://")[1].split(b"/")[0].decode()
        async with ClientSession() as session:
            async with session.get(f"http://{host}/json/list") as answer:
                pages = await answer.json(content_type=None)
            target = next(page for page in pages if page["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reader is not None:
            await reader
