"""A phone's server as a person starts it, and a browser to look at its page."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import expect, sync_playwright

from tests.chatting import unset
from tests.serving import end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # for what must appear; then it never will


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        assert program is not None, "install Chromium: apt-get install chromium"
        yield playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)


@contextmanager
def silent_page(chromium: Browser) -> Iterator[Page]:
    """A page whose console stays silent: no script fails, and the policy stops nothing."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    # Chromium reports each request that fails, also those that the page expects: a server that
    # ends, maybe in the middle of an answer, and an action that the server refuses.
    expected = re.compile(r"409 \(CONFLICT\)|403 \(FORBIDDEN\)|net::ERR_(?!BLOCKED)")
    unexpected = [text for text in complaints if not expected.search(text)]
    assert not unexpected, unexpected


@contextmanager
def phone_server(*words: str, folder: Path | None = None, **environ: str) -> Iterator[str]:
    """Run ``convostate phone`` as somebody who has set nothing but `environ`.

    Yields:
        The page's URL with its token, as it was printed.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "convostate", "phone", "--port", "0", *words],
        env={**unset(), **environ, "PYTHONUNBUFFERED": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            printed = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", printed)
            assert found, printed
            yield found[0]
        finally:
            end(process)


def ask(url: str, path: str, told: dict[str, Any] | None = None) -> Any:
    """Ask the server as its page does."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)  # seconds
    try:
        body = None if told is None else json.dumps(told)
        cookie = f"convostate-phone-{parts.port}={parts.query.removeprefix('token=')}"
        headers = {"Content-Type": "application/json", "Cookie": cookie}
        connection.request("GET" if body is None else "POST", path, body, headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class Person:
    """Somebody at the page.

    Args:
        page: Where they look; it is opened.
        url: The page's.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.log = page.get_by_role("log")

    def text(self, body: str) -> None:
        """Write a text and send it with the Enter key."""
        self.page.get_by_label("Message", exact=True).fill(body)
        self.page.keyboard.press("Enter")

    def hears(self, *bodies: str) -> None:
        """The app's messages, all of them, in order."""
        expect(self.log.locator(".theirs .bubble")).to_have_text(list(bodies))

    def sees_state(self, *rows: str) -> None:
        """The rows of the state after the turn that is looked at, as ``key value mark``."""
        texts = [re.compile(r"\s*".join(map(re.escape, row.split()))) for row in rows]
        expect(self.page.locator("#rows .row")).to_have_text(texts)

    def simulates(self, name: str) -> None:
        """Press one of the buttons under ``Simulate faults``."""
        faults = self.page.locator("#faults")
        if faults.get_attribute("open") is None:
            faults.locator("summary").click()
        faults.get_by_role("button", name=name).click()

    def picks(self, number: str) -> None:
        """Take another phone."""
        self.page.get_by_role("list").get_by_role("button", name=number).click()


def shoot(page: Page, name: str) -> None:
    """Leave a screenshot where CONVOSTATE_SCREENSHOTS says."""
    folder = os.environ.get("CONVOSTATE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
