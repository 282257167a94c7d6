"""Every exception of the package, in one tree that says who must act.

    ConvostateError
     ├── UsageError               the developer, at start-up or at once
     ├── RequestError             the sender of the request        .status
     ├── SealError                nobody: a fresh state replaces it  .reason
     ├── StateError               the app: what it put in its state
     ├── StoreError               the operator of the store        .reason
     ├── OptedOutError            nobody's fault: the caller decides
     └── ConversationExistsError  nobody's fault: the caller decides

No message holds a key, a token, a phone number, a message or a value of the state.
"""

from __future__ import annotations

from typing import Any, Literal

SealReason = Literal["malformed", "version", "unknown-key", "forged", "expired"]
StoreReason = Literal["down", "busy", "lost"]


class ConvostateError(Exception):
    """The base class of all errors that this package raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Some take more than their message, so a copy cannot be made by calling them with it.
        return type(self).__new__, (type(self), *self.args), vars(self)


class UsageError(ConvostateError):
    """The developer must act: the last sentence says what to set or to call."""


class RequestError(ConvostateError):
    """The sender must act: the request is not a proven webhook.

    Attributes:
        status: The HTTP status it is answered with: 400 malformed, 403 not proven, 405 another
            method, 413 too large, 415 another content type.
        category: One word for the log and its rate limit, such as ``signature`` or ``form``.
        parameter: The name of the parameter at fault, or "". The sender may have chosen it.
        setting: The environment variable that would fix it, or "".
    """

    def __init__(
        self, status: int, category: str, message: str, *, parameter: str = "", setting: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.parameter = parameter
        self.setting = setting


class SealError(ConvostateError):
    """A sealed value does not open. Nobody must act: a new state replaces it.

    Attributes:
        reason: ``malformed`` (not a token), ``version`` (of another format), ``unknown-key``
            (sealed with a key that is not configured), ``forged`` (the tag does not match: changed,
            or moved from another conversation) or ``expired`` (outside its span of time).
    """

    def __init__(self, reason: SealReason, message: str) -> None:
        super().__init__(message)
        self.reason: SealReason = reason


class StateError(ConvostateError):
    """The app must act: its state holds what cannot be kept, is too large, or is read-only.

    The message names the place (``$.cart[3]``) and the type, never the value.
    """


class StoreError(ConvostateError):
    """The operator must act: the store failed.

    Attributes:
        reason: ``down`` (no answer, or an error), ``busy`` (other texts of this conversation held it
            for too long, or too many wait) or ``lost`` (the turn took longer than its lease).
    """

    def __init__(self, reason: StoreReason, message: str) -> None:
        super().__init__(message)
        self.reason: StoreReason = reason


class OptedOutError(ConvostateError):
    """The person has sent STOP to this number, and no START since."""


class ConversationExistsError(ConvostateError):
    """A conversation with this person is in progress, and ``if_exists="refuse"`` was given."""
