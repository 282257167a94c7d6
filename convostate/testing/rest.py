"""Twilio's REST API for ``twilio.rest.Client``, answered in this process.

Needs the package twilio: ``pip install "convostate[twilio]"``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from twilio.http.response import Response  # type: ignore[import-untyped, unused-ignore]
from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]

from convostate.testing.rest_resources import answer as answer_api
from convostate.testing.rest_resources import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twilio.base.client_base import (  # type: ignore[import-untyped, unused-ignore]
        ClientBase,
    )

    from convostate.testing.account import Account


class SimulatedClient(Client):  # type: ignore[misc, unused-ignore]
    """A client of the simulator's account, which answers blocking and asynchronous calls alike."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.sid, account.token)
        self.http_client.is_async = None  # it is not used: both kinds of calls are answered here
        self._simulated = account

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """Answer one request as api.twilio.com does."""
        return answer(self, [self._simulated], *args, **kwargs)

    async def request_async(self, *args: Any, **kwargs: Any) -> Response:
        """Answer one request as api.twilio.com does."""
        return answer(self, [self._simulated], *args, **kwargs)


def answer(
    client: ClientBase,
    accounts: Sequence[Account],
    method: str,
    uri: str,
    params: Mapping[str, object] | None = None,
    data: Mapping[str, object] | None = None,
    headers: object = None,  # noqa: ARG001  the client passes it by position
    auth: tuple[str, str] | None = None,
    **_: object,
) -> Response:
    """Answer a request of any client, by the first of the accounts that its credentials, or its own `auth`, select."""
    credentials = auth or client.auth
    # Only Twilio knows the secret of an API key or an OAuth app, so any secret is accepted.
    by_key = getattr(client, "credential_provider", None) or str(credentials[0]).startswith("SK")
    status, resource = refused(20003)
    for account in accounts:
        matches = by_key and client.account_sid in (account.sid, None)
        if matches or credentials == (account.sid, account.token):
            parts = urlsplit(uri)
            path = parts.path.removesuffix(".json").strip("/").split("/")
            fields = {**parse_qs(parts.query), **_fields(params), **_fields(data)}
            is_api = (parts.hostname or "").split(".")[0] == "api"
            status, resource = (
                answer_api(account, method, path, fields) if is_api else refused(20404)
            )
            break
    return Response(status, "" if status == 204 else json.dumps(resource))


def _fields(fields: Mapping[str, object] | None) -> dict[str, list[str]]:
    """The values of each field; a field that the client leaves unset is an object or None."""
    return {
        name: [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
        for name, value in (fields or {}).items()
        if isinstance(value, str | int | float | list | tuple)
    }
