"""What every rival begins with: Twilio's tutorial puts RequestValidator in front of each view.

https://www.twilio.com/docs/usage/tutorials/how-to-secure-your-flask-app-by-validating-incoming-twilio-requests
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import abort, request, session
from twilio.request_validator import RequestValidator

from benchmarks.webhooks import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


def counting_in(
    state: dict[str, Any], find: Callable[[], MutableMapping[str, Any]] = lambda: session
) -> Callable[[], int]:
    """Make the view's work: verify, then count in the session.

    Args:
        state: What a new session begins with.
        find: Gives the session of this request.
    """

    def count() -> int:
        validator = RequestValidator(TOKEN)
        signature = request.headers.get("X-Twilio-Signature", "")
        if not validator.validate(request.url, request.form, signature):
            abort(403)
        remembered = find()
        if "texts" not in remembered:
            remembered.update(state)
        number: int = remembered.get("texts", 0) + 1
        remembered["texts"] = number
        return number

    return count
