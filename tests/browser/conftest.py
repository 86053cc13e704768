"""A real Chromium, a served installation with its worker, and a place for screenshots."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from icones.config import Settings

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; the test skips with its reason where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a browser of one's own for a person; a page error or a console error fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(width: int = 1280, height: int = 900, *, expect_errors: bool = False, **more: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **more)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        if expect_errors:
            return page
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda said: problems.append(f"{page.url}: {said.text}") if is_ours(page, said) else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


def is_ours(page: Page, said: ConsoleMessage) -> bool:
    """Say whether a message in the console is an error of our pages, and not of the stand-in's consent page."""
    return said.type == "error" and "/w/rest.php/" not in page.url


@contextmanager
def served(settings: Settings, folder: Path) -> Iterator[str]:
    """Serve an installation with its worker in processes of their own; give its address."""
    log = (folder / "server.log").open("w")
    port = settings.base_url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "icones", "serve", "--port", port]
    server = subprocess.Popen(command, env=settings.as_environment(), stdout=log, stderr=log, cwd=folder)
    try:
        wait_until_up(settings.base_url, server, folder / "server.log")
        yield settings.base_url
    finally:
        server.terminate()
        server.wait(40)
        log.close()


def wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Wait until the server answers; show its log if it does not."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address + "/sign-in", timeout=5).read()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with a page for people who cannot see, hear or point (WCAG 2.2 A and AA)."""
    script = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(script.read_text("utf-8"))
    levels = "['wcag2a', 'wcag2aa', 'wcag22aa']"
    found = page.evaluate(f"async () => (await axe.run(document, {{runOnly: {levels}}})).violations")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def picture(page: Page, name: str) -> None:
    """Keep a screenshot, where somebody asked for them."""
    folder = os.environ.get("ICONES_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))
