"""ConversationPlugin: who asks gets the State, and nobody else is touched."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest
from bottle import Bottle, PluginError

from convostate import ConversationMiddleware, Settings, State, UsageError
from convostate.frameworks.bottle import ConversationPlugin
from convostate.testing import TwilioSimulator


def app_of(handler: Any, *, path: str = "/sms", plugin: ConversationPlugin | None = None) -> Any:
    app = Bottle()
    app.config["catchall"] = False  # what a handler raises comes out
    app.install(plugin or ConversationPlugin())
    app.route(path, method=["GET", "POST"], callback=handler)
    return ConversationMiddleware(app, Settings.from_environ(store="memory", paths="/sms*"))


def phone_of(app: Any, path: str = "/sms") -> Any:
    return TwilioSimulator(app, webhook_url=f"https://example.com{path}").phone("+15550100001")


def count(conversation: State) -> str:
    assert isinstance(conversation, State)
    conversation["n"] = conversation.get("n", 0) + 1
    return str(conversation["n"])


class Counter:
    def method(self, conversation: State) -> str:
        return count(conversation)

    def __call__(self, *, conversation: State) -> str:
        return count(conversation)


def helper(anything: str) -> str:
    return anything


def closure() -> Any:
    """A handler whose closure holds another function, which names no conversation."""
    bound = helper

    def handler(conversation: State) -> str:
        return bound(count(conversation))

    return handler


def decorated() -> Any:
    @wraps(count)
    def handler(*args: Any, **named: Any) -> Any:
        return count(*args, **named)

    return handler


def decorated_without_a_word() -> Any:
    bound = count

    def handler(*args: Any, **named: Any) -> Any:
        return bound(*args, **named)

    return handler


@pytest.mark.parametrize(
    "handler",
    [count, Counter().method, Counter(), closure(), decorated(), decorated_without_a_word()],
    ids=["function", "method", "object", "closure", "wraps", "no wraps"],
)
def test_a_handler_that_names_the_conversation_gets_it(handler: Any) -> None:
    phone = phone_of(app_of(handler))

    assert [phone.text("hi").body for _ in range(2)] == [b"1", b"2"]


def test_the_arguments_of_the_path_stay() -> None:
    phone = phone_of(
        app_of(lambda step, conversation: f"{step}{count(conversation)}", path="/sms/<step>"),
        "/sms/first",
    )

    assert phone.text("hi").body == b"first1"


def test_the_argument_may_have_another_name() -> None:
    plugin = ConversationPlugin(keyword="state")

    assert phone_of(app_of(lambda state: str(len(state)), plugin=plugin)).text("hi").body == b"0"


def test_a_handler_that_does_not_name_it_gets_nothing() -> None:
    def bystander() -> Any:
        bound = count

        def handler() -> str:
            return bound.__name__  # its closure names a conversation, it does not

        return handler

    assert phone_of(app_of(lambda: "same")).text("hi").body == b"same"
    assert phone_of(app_of(bystander())).text("hi").body == b"count"


def test_a_page_that_asks_for_a_conversation_gets_an_error_that_says_why() -> None:
    from werkzeug.test import Client

    with pytest.raises(UsageError, match="CONVOSTATE_PATHS"):
        Client(app_of(count, path="/page")).get("/page")


def test_two_plugins_cannot_fill_one_argument() -> None:
    app = Bottle()
    app.install(ConversationPlugin())
    app.install(ConversationPlugin(keyword="another"))

    with pytest.raises(PluginError, match="'conversation'"):
        app.install(ConversationPlugin())
