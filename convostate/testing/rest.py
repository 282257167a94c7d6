"""A real ``twilio.rest.Client`` whose messages arrive at the simulator's phones.

Needs the package twilio: ``pip install "convostate[twilio]"``.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from twilio.http import HttpClient  # type: ignore[import-untyped, unused-ignore]
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped, unused-ignore]
from twilio.http.response import Response  # type: ignore[import-untyped, unused-ignore]
from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]

from convostate.testing.rest_messages import Messages, refused

if TYPE_CHECKING:
    from collections.abc import Iterator


class SimulatedHttpClient(HttpClient):  # type: ignore[misc, unused-ignore]
    """What carries a client's requests: to the simulator instead of api.twilio.com."""

    def __init__(self, messages: Messages) -> None:
        super().__init__(logging.getLogger(__name__), is_async=False)
        self._messages = messages

    def request(
        self,
        method: str,
        uri: str,
        *,
        data: dict[str, object] | None = None,
        auth: tuple[str, str] | None = None,
        **_: object,
    ) -> Response:
        """Answer one request of the client as api.twilio.com does."""
        status, resource = self._answer(method, uri, data or {}, auth)
        return Response(status, json.dumps(resource))

    def _answer(
        self, method: str, uri: str, data: dict[str, object], auth: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        account = self._messages.account
        folder = f"https://api.twilio.com/2010-04-01/Accounts/{account.sid}/Messages"
        # An API key's secret is known to Twilio alone; here any will do.
        if auth != (account.sid, account.token) and not (auth and auth[0].startswith("SK")):
            return refused(20003)
        if method == "POST" and uri == f"{folder}.json":
            return self._messages.create({name: _values(value) for name, value in data.items()})
        if method == "GET" and uri.startswith(f"{folder}/"):
            return self._messages.fetch(uri.removeprefix(f"{folder}/").removesuffix(".json"))
        return refused(20404)


def make_client(messages: Messages) -> Client:
    """The client of an account."""
    account = messages.account
    return Client(account.sid, account.token, http_client=SimulatedHttpClient(messages))


@contextmanager
def caught_clients(messages: Messages) -> Iterator[None]:
    """Meanwhile carry the requests of every client of this process to the simulator."""
    simulated = SimulatedHttpClient(messages)
    its_own = TwilioHttpClient.request

    def request(  # twilio-python passes most of them by name, and may pass them by place
        _: TwilioHttpClient,
        method: str,
        url: str,
        params: object = None,  # noqa: ARG001
        data: dict[str, object] | None = None,
        headers: object = None,  # noqa: ARG001
        auth: tuple[str, str] | None = None,
        *__: object,
        **___: object,
    ) -> Response:
        return simulated.request(method, url, data=data, auth=auth)

    TwilioHttpClient.request = request
    try:
        yield
    finally:
        TwilioHttpClient.request = its_own


def _values(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [str(item) for item in values]
