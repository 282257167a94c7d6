"""twilio-python's RequestValidator alone: parameters already parsed, nothing remembered."""

from __future__ import annotations

from twilio.request_validator import RequestValidator

from benchmarks.webhooks import KINDS, TOKEN, Signed
from benchmarks.worker import Work


def contender(kind: str = "sms") -> Work:
    """One call is one `validate`."""
    validator = RequestValidator(TOKEN)
    form = kind != "json"

    def inputs(calls: int) -> list[tuple[str, dict[str, str] | str, str]]:
        def arguments(hook: Signed) -> tuple[str, dict[str, str] | str, str]:
            return hook.url, hook.params if form else hook.body.decode(), hook.signature

        made = [arguments(KINDS[kind](1)) for _ in range(calls)]
        if not validator.validate(*made[0]):
            raise RuntimeError("RequestValidator refuses the request")
        return made

    return Work(inputs, lambda item: validator.validate(*item))
