"""The page served over a scripted counter, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from host_bridge.web.app import create_app
from host_bridge.web.serve import WebServer
from tests.host_bridge.web.script import ScriptedCounter
from tests.needs import need

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def counter() -> ScriptedCounter:
    return ScriptedCounter()


@pytest.fixture
def server(counter: ScriptedCounter) -> Iterator[WebServer]:
    serving = WebServer(create_app(counter), "127.0.0.1", 0)
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or CHROMIUM
    need(None if Path(path).exists() else "no chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGS), headless=True)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: WebServer) -> Iterator[Page]:
    """The clerk page at 1280×800; a script error or anything the page's policy refuses fails the test."""
    faults: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    context = browser.new_context(viewport={"width": 1280, "height": 800}, has_touch=True, locale="zh-CN")
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", listen)
    page.goto(server.url)
    expect(page.locator("html")).to_have_attribute("data-screen", "idle")
    yield page
    context.close()
    assert faults == []
