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
    """A client of the simulator's account; blocking and asynchronous calls both work.

    Args:
        account: What answers instead of api.twilio.com.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(account.sid, account.token)
        self._simulated = account

    def request(self, method: str, uri: str, *args: Any, **named: Any) -> Response:
        """Answer one request as api.twilio.com does."""
        return answer(self, [self._simulated], method, uri, *args, **named)

    async def request_async(self, method: str, uri: str, *args: Any, **named: Any) -> Response:
        """Answer one request as api.twilio.com does."""
        return answer(self, [self._simulated], method, uri, *args, **named)


def answer(
    client: ClientBase,
    accounts: Sequence[Account],
    method: str,
    uri: str,
    params: Mapping[str, object] | None = None,
    data: Mapping[str, object] | None = None,
    headers: object = None,  # noqa: ARG001  the client passes it by place
    auth: tuple[str, str] | None = None,
    **_: object,
) -> Response:
    """Answer a request of any client.

    Args:
        client: Who asks; its credentials choose the account.
        accounts: Those that there are; the first that fits counts.
        method: ``GET``, ``POST`` or ``DELETE``.
        uri: The whole URI.
        params: The query's parameters.
        data: The form's fields.
        headers: Not read.
        auth: Credentials that the request brings along.
    """
    given = auth or client.auth
    # Twilio alone knows the secret of an API key or an OAuth app. Any will do here.
    by_key = getattr(client, "credential_provider", None) or str(given[0]).startswith("SK")
    for account in accounts:
        known = client.account_sid in (account.sid, None) if by_key else False
        if known or given == (account.sid, account.token):
            parts = urlsplit(uri)
            path = parts.path.removesuffix(".json").strip("/").split("/")
            fields = {**parse_qs(parts.query), **_fields(params), **_fields(data)}
            is_api = (parts.hostname or "").split(".")[0] == "api"
            found = answer_api(account, method, path, fields) if is_api else refused(20404)
            return Response(found[0], json.dumps(found[1]))
    status, resource = refused(20003)
    return Response(status, json.dumps(resource))


def _fields(fields: Mapping[str, object] | None) -> dict[str, list[str]]:
    """Each field with its values; those that the client leaves unset are objects or None."""
    return {
        name: [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
        for name, value in (fields or {}).items()
        if isinstance(value, str | int | float | list | tuple)
    }
