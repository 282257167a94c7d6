"""Two corpora: what Twilio sends is never refused, and no other split of it is believed."""

from __future__ import annotations

import re
from random import Random

import pytest

import convostate.twilio.ambiguity as guard
import convostate.twilio.authenticate
from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from tests.forged import attacked, believed, chained, moved, planned
from tests.genuine import FORMS, webhooks
from tests.proving import SECRETS, oracle_sign, posted, status_of
from tests.served import URL
from tests.test_resplit import FORGERIES

pytestmark = pytest.mark.unmeasured


def refused(seed: int, number: int) -> list[tuple[str, str, str]]:
    """The product, the reason and the parameter of each genuine webhook that is refused."""
    found = []
    for (product, params, request), _ in zip(webhooks(Random(seed)), range(number), strict=False):
        try:
            webhook, _ = authenticate(request, SECRETS)
        except RequestError as error:  # noqa: PERF203
            found.append((product, str(error), error.parameter))
        else:
            assert not params or dict(webhook.params) == params
    return found


def test_no_genuine_webhook_in_1_000_is_refused() -> None:
    assert refused(1, 1_000) == []


@pytest.mark.slow
def test_no_genuine_webhook_in_50_000_is_refused() -> None:
    assert refused(20261125, 50_000) == []


def test_the_genuine_corpus_has_every_product_and_nul_and_own_names() -> None:
    seen = [
        (product, params)
        for (product, params, _), _ in zip(webhooks(Random(1)), range(3_000), strict=False)
    ]

    assert {product for product, _ in seen} == {*FORMS, "regulatory", "event"}
    assert sum("\0" in "".join(params.values()) for _, params in seen) > 100
    assert len({name for _, params in seen for name in params}) > 150


def test_a06_no_split_changes_who_talks_to_whom() -> None:
    tried, found = believed(Random(1), 1_500)
    assert (tried >= 1_500, found) == (True, [])


def test_a06_no_text_that_holds_another_webhook_changes_who_talks_to_whom() -> None:
    assert believed(Random(1), 1_000, planned) == (1_000, [])


def test_a05_a06_no_fields_in_several_texts_change_who_talks_to_whom() -> None:
    assert believed(Random(1), 4_000, chained) == (4_000, [])


def test_a06_no_split_across_the_end_of_the_url_changes_who_talks_to_whom() -> None:
    assert believed(Random(1), 6_000, moved) == (6_000, [])


@pytest.mark.slow
def test_a06_no_text_in_5_000_that_holds_another_webhook_changes_who_talks_to_whom() -> None:
    assert believed(Random(20261126), 5_000, planned)[1] == []


@pytest.mark.slow
def test_a06_no_split_in_12_000_changes_who_talks_to_whom() -> None:
    assert believed(Random(20261125), 12_000)[1] == []


def test_what_is_attacked_is_accepted_as_it_was_signed_or_is_ambiguous() -> None:
    """Otherwise the search would prove nothing: most of what attackers write is harmless as it is."""
    attacks = zip(attacked(Random(2)), range(300), strict=False)
    assert sum(bool(params) for (_, params), _ in attacks) == 300


def believed_of_the_listed() -> list[str]:
    return [
        case
        for case, (true, read) in FORGERIES.items()
        if status_of(posted(read, signature=oracle_sign(URL, true))) == 200
    ]


@pytest.mark.parametrize("rule", [
    "check_product", "check_names", "check_values", "check_places", "check_words", "_is_caller", "_is_of_message", "_fits", "_goes_on",
])  # fmt: skip
def test_a06_without_a_rule_of_the_guard_a_forgery_is_believed(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert believed_of_the_listed() == []

    monkeypatch.setattr(guard.Reading, rule, lambda *_args: False)
    assert believed_of_the_listed()


@pytest.mark.parametrize(
    ("where", "rule"), [(guard, "check_query"), (guard.Reading, "begins_in_url")]
)
def test_a06_a09_without_a_rule_about_the_url_the_search_finds_a_forgery(
    where: object, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, rule, lambda *_args: False)

    assert any(believed(Random(seed), 500, moved)[1] for seed in range(1, 30))


@pytest.mark.parametrize(("kind", "field"), [
    (guard._MESSAGE, "From"), (guard._MESSAGE, "SmsMessageSid"), (guard._CALL, "Direction"), (guard._CALL, "To"),
])  # fmt: skip
def test_a06_without_a_field_of_the_guard_a_forgery_is_believed(
    kind: tuple[str, ...], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(guard._FREE[kind], field)

    assert believed_of_the_listed()


def test_a06_without_the_urls_of_a_call_a_forgery_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(guard._FREE[guard._CALL], "From", re.compile("(?!)"))

    assert believed_of_the_listed()


def test_a06_without_the_sid_of_a_message_the_search_finds_a_forgery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(guard._FREE[guard._MESSAGE], "MessageSid")

    assert any(believed(Random(seed), 500)[1] for seed in range(1, 30))


def test_a06_with_one_kind_of_address_less_the_search_finds_a_forgery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = re.compile(r"From(?=(?P<channel>(?!))?(?P<number>\+[0-9]{2,}|[0-9]{5,}))")
    monkeypatch.setitem(guard._ADDRESSES, "From", numbers)

    assert believed(Random(1), 4_000)[1]


def test_a06_without_the_guard_most_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convostate.twilio.authenticate, "check_split", lambda *_args: None)
    tried, found = believed(Random(2), 1_000)

    assert len(found) > tried // 4
