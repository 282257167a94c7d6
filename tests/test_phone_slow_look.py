"""The phone's page where what it has seen is older than what it has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.phoning import Person, browser, phone_server, silent_page

if TYPE_CHECKING:
    from playwright.sync_api import Route

ADDED = "+1 555 010 0042"


@pytest.mark.slow
def test_a_phone_that_was_added_before_it_is_seen_is_chosen_once_it_is() -> None:
    old = True

    def see(route: Route) -> None:
        answer = route.fetch()
        seen = answer.json()
        if old:
            seen["phones"] = seen["phones"][:2]
        route.fulfill(response=answer, json=seen)

    with browser() as chromium, silent_page(chromium) as page, phone_server() as url:
        page.route("**/look?*", see)
        ada = Person(page, url)
        page.get_by_role("button", name="Add a phone").click()
        page.get_by_label("Their number").fill(ADDED.replace(" ", ""))
        with page.expect_response("**/do/add-phone"), page.expect_response("**/look?*"):
            page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#chat-number")).to_have_text("+1 555 010 0002")

        old = False
        ada.text("hi")
        expect(page.locator("#chat-number")).to_have_text(ADDED)
        page.unroute_all(behavior="ignoreErrors")  # a look is on its way until the server ends
