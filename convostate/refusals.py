"""The log lines about refused requests: at most one a minute for each category.

A line says why and what to do, without a query, parameter, number or secret. The sender learns only the status.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from convostate.twilio.diagnosis import FIXABLE, as_refusal, diagnose_refusal, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.errors import RequestError
    from convostate.twilio.diagnosis import Arrival
    from convostate.twilio.signature import Request, Secrets

logger = logging.getLogger("convostate")

QUIET_S = 60.0  # between two lines of one category
# A diagnosis takes up to 10 ms; the limit keeps strangers from using up the processor.
DIAGNOSED_A_MINUTE = 10


class RefusalLog:
    """Logs why requests are refused that one of these secrets should have signed; the clock counts seconds."""

    def __init__(self, secrets: Secrets, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secrets = secrets
        self._monotonic = monotonic
        self._last: dict[str, float] = {}
        self._diagnosed: list[float] = []
        self._lock = threading.Lock()

    def log(
        self, error: Exception, request: Request | None, arrival: Callable[[], Arrival]
    ) -> RequestError:
        """Log one refusal, unless its category was logged less than a minute ago. Never raises.

        What else the server knows about the request is asked only if the line needs it.

        Returns:
            The refusal; any other exception is one with status 403.
        """
        refusal = as_refusal(error)
        category, why = refusal.category, str(refusal)
        if request is not None:
            if not self._may_diagnose(category):
                return refusal
            try:
                diagnosis = diagnose_refusal(refusal, request, self._secrets, arrival)
            except Exception as surprise:  # noqa: BLE001  # a hostile request must not become a 500
                why = f"{refusal} ({type(surprise).__name__} while explaining it)"
            else:
                why = str(diagnosis)
                # A fix is logged even if a stranger's request of the category was logged before.
                category = "fixable" if diagnosis.fixable else category
        if self._may_log(category):
            logger.warning(
                "refused a request with %d (%s): %s", refusal.status, refusal.category, why
            )
        return refusal

    def log_unguarded(self, path: str) -> None:
        """Log that a signed request took a path that is not guarded, at most once a minute."""
        if self._may_log("unguarded"):
            logger.warning(
                "a request with a Twilio signature took the path %s, which is not guarded, so it was "
                "not verified: if it is a webhook's, add the path to CONVOSTATE_PATHS",
                shown(path),
            )

    def _may_diagnose(self, category: str) -> bool:
        moment = self._monotonic()
        possible = [category, "fixable"] if category == FIXABLE else [category]
        with self._lock:
            if all(moment - self._last.get(each, -math.inf) < QUIET_S for each in possible):
                return False
            if category != FIXABLE:
                return True
            recent = [tried for tried in self._diagnosed if moment - tried < QUIET_S]
            self._diagnosed = [*recent, moment][:DIAGNOSED_A_MINUTE]
            return len(recent) < DIAGNOSED_A_MINUTE

    def _may_log(self, category: str) -> bool:
        moment = self._monotonic()
        with self._lock:
            if moment - self._last.get(category, -math.inf) < QUIET_S:
                return False
            self._last[category] = moment
        return True
