"""The log line of a refused request: which category, why, and what to set. At most one a minute each.

The line never holds a query, a parameter, a number or a secret; the sender learns only the status.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from convostate.core.explain import Asked, explain, hints, without_query
from convostate.core.form import EMPTY, parse_form, parse_query
from convostate.errors import RequestError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from convostate.core.signature import Request, Secrets

logger = logging.getLogger("convostate")

QUIET_S = 60.0  # between two lines of one category


class RefusalLog:
    """Says why requests are refused.

    Args:
        secrets: What may sign a webhook.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._last: dict[str, float] = {}

    def log(self, error: RequestError, request: Request | None, environ: WSGIEnvironment) -> None:
        """Log one refusal, unless its category was logged less than a minute ago.

        Args:
            error: Why it was refused.
            request: What arrived, or None where it could not be read.
            environ: Where the forwarding headers stand, which only serve as hints.
        """
        moment = time.monotonic()
        if moment - self._last.get(error.category, -QUIET_S) < QUIET_S:
            return
        self._last[error.category] = moment
        why = str(error)
        if request is not None and error.category in ("signature", "unsigned"):
            why = self._explain(request, environ)
        elif request is not None:
            why = f"{why} (at {without_query(request.url)})"
        logger.warning(
            "refused a request with %d (%s): %s", error.status, error.category, _one_line(why)
        )

    def _explain(self, request: Request, environ: WSGIEnvironment) -> str:
        get = environ.get
        try:
            form = parse_form(request.body) if request.method == "POST" else EMPTY
        except RequestError:
            form = EMPTY  # another content type: its URL alone is signed
        account = (form.first or _query_params(request.query)).get("AccountSid", "")
        return str(
            explain(
                Asked(
                    request.url,
                    form,
                    request.signature,
                    self._secrets.candidates(request.scheme, account),
                    self._secrets.every(),
                    hints(
                        [
                            get("HTTP_X_FORWARDED_HOST", ""),
                            get("HTTP_FORWARDED", ""),
                            get("HTTP_X_ORIGINAL_HOST", ""),
                        ]
                    ),
                    hints([get("HTTP_X_FORWARDED_PREFIX", ""), get("HTTP_X_SCRIPT_NAME", "")]),
                )
            )
        )


def _query_params(query: str) -> dict[str, str]:
    try:
        return parse_query(query).first
    except RequestError:
        return {}


def _one_line(text: str) -> str:
    """No control character of the sender's reaches the log, and no endless path."""
    return "".join(char if char.isprintable() else "?" for char in text[:1000])
