"""The log line of a refused request: which category, why, and what to set. At most one a minute each.

The line never holds a query, a parameter, a number or a secret; the sender learns only the status.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from typing import TYPE_CHECKING

from convostate.errors import RequestError
from convostate.twilio.diagnosis import Asked, explain, hints, without_query
from convostate.twilio.form import EMPTY, parse_form, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

    from convostate.twilio.signature import Request, Secrets

# Some put the phone's number into the webhook's URL: two digits of it are enough to tell which.
_NUMBER = re.compile(r"(?:(?:\+|%2[Bb])(?:[0-9 ()-]|%20){5,}|[0-9]{5,})([0-9]{2})")

logger = logging.getLogger("convostate")

QUIET_S = 60.0  # between two lines of one category
# An explanation is some hundred HMACs of the request under each secret that might have signed it: 8 ms
# for this one and one secret. The longest known webhook, a WhatsApp flow, stays below it, and has 60 fields.
EXPLAINED_BYTES = 16_384
_GUESSES = 300  # at most, under each such secret; the secrets of other accounts are tried once
EXPLAINED_FIELDS = 200
EXPLAINED_A_MINUTE = 10


class RefusalLog:
    """Says why requests are refused.

    Args:
        secrets: What may sign a webhook.
        monotonic: The clock of the quiet minute, in seconds.
    """

    def __init__(self, secrets: Secrets, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secrets = secrets
        self._monotonic = monotonic
        self._last: dict[str, float] = {}
        self._explained: list[float] = []
        self._lock = threading.Lock()

    def log(self, error: Exception, request: Request | None, environ: WSGIEnvironment) -> None:
        """Log one refusal, unless its category was logged less than a minute ago. Never raises.

        Args:
            error: Why it was refused; where it is no RequestError, what surprised the verification.
            request: What arrived, or None where it could not be read.
            environ: Where the forwarding headers stand, which only serve as hints.
        """
        if not isinstance(error, RequestError):
            # neither its text nor its traceback, whose frames hold the request
            error = RequestError(403, "surprise", f"{type(error).__name__} while verifying it")
        if request is not None and error.category in ("signature", "unsigned"):
            if not self._may_explain(error.category):
                return
            category = error.category
            try:
                why, mends = self._explain(request, environ)
                # What tells how to mend it is not kept back because a stranger's was told before.
                category = "mends" if mends else category
            except Exception as surprise:  # noqa: BLE001  # a hostile request must not become a 500
                why = f"{error} ({type(surprise).__name__} while explaining it)"
            if not self._may_speak(category):
                return
        elif not self._may_speak(error.category):
            return
        else:
            why = f"{error} (at {without_query(request.url)})" if request else str(error)
        logger.warning(
            "refused a request with %d (%s): %s", error.status, error.category, _one_line(why)
        )

    def log_unguarded(self, path: str) -> None:
        """Log that a signed request took a path that is not guarded, at most once a minute."""
        if self._may_speak("unguarded"):
            logger.warning(
                "a request that carries a Twilio signature took the path %s, which is not guarded, so "
                "nobody checked it: where that is a webhook's, add the path to CONVOSTATE_PATHS",
                _one_line(path[:200]),
            )

    def _may_explain(self, category: str) -> bool:
        moment = self._monotonic()
        may_be = [category, "mends"] if category == "signature" else [category]
        with self._lock:
            if all(moment - self._last.get(each, -math.inf) < QUIET_S for each in may_be):
                return False
            recent = [tried for tried in self._explained if moment - tried < QUIET_S]
            self._explained = [*recent, moment][:EXPLAINED_A_MINUTE]
            return len(recent) < EXPLAINED_A_MINUTE

    def _may_speak(self, category: str) -> bool:
        moment = self._monotonic()
        with self._lock:
            if moment - self._last.get(category, -math.inf) < QUIET_S:
                return False
            self._last[category] = moment
        return True

    def _explain(self, request: Request, environ: WSGIEnvironment) -> tuple[str, bool]:
        """Why, and whether it says what would make the signature verify."""
        get = environ.get
        try:
            form = parse_form(request.body) if request.method == "POST" else EMPTY
        except RequestError:
            form = EMPTY  # another content type: its URL alone is signed
        account = (form.first or _query_params(request.query)).get("AccountSid", "")
        signers = self._secrets.candidates(request.scheme, account)
        every = self._secrets.every()
        size_bytes = len(request.body) + len(request.url)
        fields = request.body.count(b"&") + request.query.count("&")
        tried = len(signers) + len(every) / _GUESSES
        if size_bytes * tried > EXPLAINED_BYTES or fields > EXPLAINED_FIELDS:
            place = without_query(request.url)
            return f"checked as {place}: it is too long to try what is wrong", False
        hosts = [get("HTTP_X_FORWARDED_HOST", ""), get("HTTP_FORWARDED", ""), get("HTTP_X_ORIGINAL_HOST", "")]  # fmt: skip
        prefixes = [get("HTTP_X_FORWARDED_PREFIX", ""), get("HTTP_X_SCRIPT_NAME", "")]
        explanation = explain(
            Asked(
                request.url, form, request.signature, signers, every, hints(hosts), hints(prefixes)
            )
        )
        return str(explanation), explanation.mends


def _query_params(query: str) -> dict[str, str]:
    try:
        return parse_query(query).first
    except RequestError:
        return {}


def _one_line(text: str) -> str:
    """No control character of the sender's reaches the log, no endless path, and no number in a path."""
    masked = _NUMBER.sub(r"***\1", text[:1000])
    return "".join(char if char.isprintable() else "?" for char in masked)
