"""The pictures of the phone's page in the docs: ``python -m tests.pictures`` takes them again.

Look at them before you commit them.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.documentation import PAGES
from tests.phoning import Person, browser, phone_server

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

WIDE, NARROW, BETWEEN = (1180, 660), (360, 640), 16  # pixels
_SIDE_BY_SIDE = "<body style='margin: 0; display: flex; gap: {}px; background: transparent'>{}"


def take_wide(chromium: Browser, path: Path) -> None:
    """An app that keeps orders, after the third text."""
    page = chromium.new_page(viewport={"width": WIDE[0], "height": WIDE[1]}, reduced_motion="reduce")  # fmt: skip
    with phone_server("convostate.demo.profile:app") as url:
        person = Person(page, url)
        replies = ["Hello Ada.", "You like jazz.", "Ordered: 2 tea at 3.50 each."]
        for count, text in enumerate(("name Ada", "like jazz", "order 2 tea 3.50"), 1):
            person.text(text)
            person.hears(*replies[:count])
        expect(page.locator("#rows .row").last).to_contain_text("Decimal")
        page.screenshot(path=path)
    page.close()


def take_narrow(chromium: Browser, path: Path) -> None:
    """A refused signature on a small screen in the dark: the chat, and beside it what would fix it."""
    page = chromium.new_page(
        viewport={"width": NARROW[0], "height": NARROW[1]},
        color_scheme="dark",
        reduced_motion="reduce",
    )
    with phone_server() as url:
        person = Person(page, url)
        for count, text in enumerate(("hello", "hello again"), 1):
            person.text(text)
            expect(person.log.locator(".theirs")).to_have_count(count)
        person.simulates("Break the next signature")
        page.locator("#faults summary").click()
        person.text("it's me")
        expect(page.get_by_text("Twilio 11200").first).to_be_visible()
        seen = [_shot(page)]
        page.get_by_label("Panes").get_by_role("button", name="State").click()
        expect(page.get_by_text("The signature was refused")).to_be_visible()
        seen.append(_shot(page))
    page.close()
    width = 2 * NARROW[0] + BETWEEN
    both = chromium.new_page(viewport={"width": width, "height": NARROW[1]})
    both.set_content(_SIDE_BY_SIDE.format(BETWEEN, "".join(seen)))
    both.screenshot(path=path, omit_background=True)
    both.close()


def _shot(page: Page) -> str:
    """An image element of what is on the screen."""
    shot = base64.b64encode(page.screenshot()).decode()
    return f"<img src='data:image/png;base64,{shot}'>"


PICTURES = {"phone-wide": take_wide, "phone-narrow": take_narrow}


if __name__ == "__main__":
    with browser() as started:
        for name, take in PICTURES.items():
            take(started, PAGES / "images" / f"{name}.png")
