"""The phone's page can be read and used: small and large, dark and light, with the keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import expect

from convostate.phone.site import PAGE
from tests.documentation import PAGES
from tests.phoning import Person, browser, phone_server, shoot
from tests.pictures import PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

LONG = "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEARD = "You've sent 1 message in this conversation so far"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """One server for all: these tests look, and what they write does not matter to each other."""
    with phone_server() as url:
        yield url


HOTLINE = """
from convostate import ConversationMiddleware, state_from, webhook_from

def answer(environ, start_response):
    state, webhook = state_from(environ), webhook_from(environ)
    state["turns"] = state.get("turns", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    if webhook.kind == "call" and "Digits" not in webhook.params:
        return [b"<Response><Gather input='dtmf speech'><Say>For sales press 1</Say></Gather></Response>"]
    if webhook.kind == "call":
        return [b"<Response><Say>Sales</Say></Response>"]
    return [f"<Response><Message>Text {state['turns']}</Message></Response>".encode()]

app = ConversationMiddleware(answer)
"""


@pytest.fixture(scope="module")
def hotline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server of an app that is texted and called."""
    folder = tmp_path_factory.mktemp("hotline")
    (folder / "hotline.py").write_text(HOTLINE, encoding="utf-8")
    with phone_server("hotline:app", folder=folder) as url:
        yield url


def overflowing(page: Page) -> list[str]:
    """What is wider than the window: nobody scrolls sideways."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((e) => e.checkVisibility() && !e.closest(".hidden, .skip, .turn-list, .phones"))
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => `${e.tagName}.${e.className}#${e.id}`)"""
    )
    return found


def overlapping(page: Page) -> list[str]:
    """The parts of the frame that lie upon each other."""
    found: list[str] = page.evaluate(
        """() => {
            const parts = [...document.querySelectorAll(
                ".brand, .phones, .clock-time, .clock-steps, .clock-edges, #clock-now, .chat-head, .composer, .timeline-scroll, .on-call, .stored, .turns"
            )].filter((e) => e.checkVisibility()).map((e) => [e, e.getBoundingClientRect()]);
            return parts.flatMap(([a, x], i) => parts.slice(i + 1)
                .filter(([b, y]) => !a.contains(b) && !b.contains(a)
                    && Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1
                    && Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 1)
                .map(([b]) => `${a.className}#${a.id} and ${b.className}#${b.id}`));
        }"""
    )
    return found


def test_nothing_is_cut_off_at_any_width(chromium: Browser, served: str) -> None:
    page = chromium.new_page(reduced_motion="reduce")
    person = Person(page, served)
    expect(page.locator("#chat-number")).not_to_be_empty()
    before = person.log.locator(".theirs").count()
    person.text(LONG)
    expect(person.log.locator(".theirs")).to_have_count(before + 1)
    for width in (360, 700, 760, 840, 900, 920, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 760})
        for pane in ("Chat", "State", "Phones") if width < 752 else ("",):
            if pane:
                page.get_by_label("Panes").get_by_role("button", name=pane).click()
                expect(page.locator(".pane:visible")).to_have_id(f"pane-{pane.lower()}")
            assert (overflowing(page), overlapping(page)) == ([], []), width
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                shoot(page, f"looks-{width}-{scheme}-{pane or 'all'}")
    page.close()


def test_the_number_keeps_its_line_beside_what_else_stands_there(chromium: Browser) -> None:
    page = chromium.new_page(viewport={"width": 360, "height": 760})
    with phone_server("convostate.demo.reminder:app") as url:
        Person(page, url).text("STOP")
        expect(page.get_by_text("Opted out")).to_be_visible()
        boxes = [page.locator(f"#{name}").bounding_box() for name in ("chat-number", "start")]
        height = page.locator(".chat-head").evaluate("(e) => e.offsetHeight")
    page.close()

    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["height"] < 30  # pixels: one line
    assert height < 120


@pytest.mark.parametrize("width", [360, 1280])
def test_everything_can_be_done_with_the_keyboard(chromium: Browser, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 760})
    with phone_server() as url:
        page.goto(url)
        expect(page.locator("#chat-number")).to_have_text("+1 555 010 0001")
        focused = page.locator("*:focus")
        page.keyboard.press("Tab")
        expect(focused).to_have_text("Skip to the message")
        page.keyboard.press("Enter")
        expect(focused).to_have_id("message")
        page.keyboard.type("one")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("two")
        page.keyboard.press("Enter")
        expect(page.get_by_role("log").locator(".mine .bubble")).to_have_text("one\ntwo")
        expect(page.get_by_role("log").locator(".theirs .bubble")).to_have_text(HEARD)

        for _ in range(2):  # past the button that sends
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(focused).to_have_text("Send twice")
        outline = focused.evaluate("(e) => getComputedStyle(e).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        expect(page.get_by_label("First text")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(focused).to_have_text("Overlap two texts")
    page.close()


def test_news_are_read_out_and_what_was_there_is_not(chromium: Browser, served: str) -> None:
    page = chromium.new_page()
    person = Person(page, served)
    log = page.get_by_role("log")
    expect(log).to_have_attribute("aria-live", "polite")
    person.text("hi")
    expect(log.locator(".theirs")).not_to_have_count(0)
    page.evaluate("() => (document.querySelector('.theirs').dataset.same = 'yes')")
    person.text("again")
    expect(log.locator(".mine").last).to_contain_text("again")
    expect(log.locator(".theirs").first).to_have_attribute("data-same", "yes")
    page.close()


def test_every_button_and_field_has_a_name(chromium: Browser, served: str) -> None:
    page = chromium.new_page()
    Person(page, served)
    expect(page.locator("#chat-number")).not_to_be_empty()
    page.locator("#faults summary").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select, summary")]
            .filter((e) => !e.closest("dialog") && !e.textContent.trim()
                && !e.getAttribute("aria-label") && !e.labels?.length)
            .map((e) => e.outerHTML)"""
    )
    page.close()

    assert nameless == []


AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (900, "dark"), (1280, "light")])
def test_e12_axe_finds_nothing_that_is_serious(
    chromium: Browser, hotline: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = chromium.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=True,  # for axe itself, which is put into the page
    )
    person = Person(page, hotline)
    person.text("hi")
    expect(person.log.locator(".theirs")).not_to_have_count(0)
    person.simulates("Break the next signature")
    person.text("refused")
    expect(person.log.get_by_role("button", name="Why?").last).to_be_visible()
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_role("button", name="Hang up")).to_be_visible()
    page.add_script_tag(path=AXE)
    found = []
    for pane in ("Chat", "State", "Phones") if width < 752 else ("",):
        if pane:
            page.get_by_label("Panes").get_by_role("button", name=pane).click()
        shoot(page, f"axe-{width}-{scheme}-{pane or 'all'}")
        found += page.evaluate(
            """async () => (await axe.run(document, {runOnly: {type: "tag", values: [
                "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice",
                "experimental"]}})).violations
                .map((v) => [v.impact, v.id, v.nodes.map((n) => n.target.join(" ")).join(", ")])"""
        )
    if width < 752:
        page.get_by_label("Panes").get_by_role("button", name="Chat").click()
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_role("button", name="Call", exact=True)).to_be_visible()
    page.close()

    named = {"listitem", "aria-allowed-role", "label-content-name-mismatch", "page-has-heading-one"}
    assert [e for e in found if e[0] in ("serious", "critical") or e[1] in named] == [], found


def themes() -> dict[str, dict[str, str]]:
    """The colours of both schemes, by name."""
    css = (PAGE / "theme.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in (light, dark)]
    return {"light": colours[0], "dark": {**colours[0], **colours[1]}}


def luminance(colour: str) -> float:
    """Relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


TEXT_ON_GROUND = [
    *[("ink", on) for on in ("paper", "surface", "sunken", "changed", "added", "removed")],
    *[("quiet", on) for on in ("paper", "surface", "sunken")],
    *[("accent-deep", on) for on in ("paper", "surface")],
    *[("alarm", on) for on in ("alarm-wash", "surface")],
    ("accent-ink", "accent"),
    ("accent-ink", "accent-deep"),
    ("ink", "alarm-wash"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    colours = themes()[scheme]
    for text, ground in TEXT_ON_GROUND:
        darker, lighter = sorted(luminance(colours[name]) for name in (text, ground))

        # https://www.w3.org/TR/WCAG22/#contrast-minimum
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_docs_can_be_taken_again(
    chromium: Browser, name: str, tmp_path: Path
) -> None:
    taken, shown = tmp_path / "picture.png", PAGES / "images" / f"{name}.png"

    PICTURES[name](chromium, taken)

    sizes = [
        path.read_bytes()[16:24] for path in (taken, shown)
    ]  # width, height: PNG section 11.2.2
    assert sizes[0] == sizes[1]
