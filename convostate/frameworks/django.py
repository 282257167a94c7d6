"""Django: inside a webhook `request.session` is the conversation's state.

    MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "convostate.frameworks.django.ConversationSessionMiddleware",  # right after it
        ...
    ]

and in wsgi.py ``application = ConversationMiddleware(get_wsgi_application())``; in asgi.py use that of
`convostate.asgi` around ``get_asgi_application()``. All other requests, and webhooks that name no pair of
phones, have the project's own sessions.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.frameworks import missing
from convostate.state import CLOCK_KEY, STATE_KEY
from convostate.state_view import Backing, StateView, unkept_state

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.conf import settings
    from django.contrib.sessions.backends.base import SessionBase
    from django.utils.module_loading import import_string
except ModuleNotFoundError as error:
    raise missing("Django") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

    from convostate.state import State

_KEY = "_session_key"  # in the state, next to Django's own _session_expiry
_SECOND = timedelta(seconds=1)


class _Items(StateView):
    """The items of a session, and its key, which Django does not treat as an item."""

    def __init__(self, state: State, backing: Backing) -> None:
        super().__init__(state, backing)
        self.key: str | None = dict.pop(self.state, _KEY, None)
        dict.pop(self, _KEY, None)

    def _items(self) -> dict[Any, Any]:
        return self.state if self.key is None else {**self.state, _KEY: self.key}


class ConversationSession(SessionBase):  # type: ignore[misc]  # Django has no types
    """A State as `request.session`.

    Django's own base class works on the State, so all its methods are available. It stores the session's
    key and expiry in the State as well.
    """

    def __init__(
        self, state: State, backing: Backing, clock: Callable[[], float] = time.time
    ) -> None:
        self._session_cache = _Items(state, backing)
        self._clock = clock
        self._handed_back = False
        super().__init__(self._session_cache.key)
        # Django has saved a session, and given it a key, once its first request has ended.
        self._saved = not state.is_new and self._session_cache.unkept is None

    @property
    def state(self) -> State:
        """The State, or a writable copy if the State is read-only."""
        return self._session_cache.state

    @property
    def accessed(self) -> bool:
        """Whether the session was read or written."""
        if self._handed_back:
            # SessionMiddleware reads this first, and ignores a session without it.
            raise AttributeError("accessed")
        return self._accessed

    @accessed.setter
    def accessed(self, accessed: bool) -> None:
        self._accessed = accessed

    @property
    def session_key(self) -> str | None:
        """A random key of this conversation; None in its first turn until save(), create() or cycle_key()."""
        if self._saved and self._session_key is None:
            self._session_key = self._get_new_session_key()
        return self._session_key

    @property
    def _session_key(self) -> str | None:
        key: str | None = self._session_cache.key
        return key

    @_session_key.setter
    def _session_key(self, key: str | None) -> None:
        key = key if self._validate_session_key(key) else None
        self._saved = False
        if key != self._session_key:
            self._session_cache.key = key
            self._session_cache.changed()

    def clear(self) -> None:
        """Remove all items; the conversation continues."""
        self._session_cache.clear()
        self.accessed = self.modified = True

    def exists(self, session_key: str) -> bool:
        """Whether this conversation has the key."""
        return session_key is not None and session_key == self._session_key

    def load(self) -> dict[Any, Any]:
        """A dict of the items."""
        return self._session_cache.copy()

    def create(self) -> None:
        """Give the session another key."""
        self._session_key = self._get_new_session_key()
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Give the session a key; its items are stored when the view succeeds."""
        if must_create or self._session_key is None:
            self.create()

    def delete(self, session_key: str | None = None) -> None:
        """Remove all items, unless the key is that of another session."""
        if session_key is None or session_key == self._session_key:
            self._session_cache.clear()
            self._session_key = None

    def set_expiry(self, value: int | datetime | timedelta | None) -> None:
        """Shorten the lifetime: seconds after the last text, or a time. 0 and None change nothing."""
        super().set_expiry(self._now() + value if isinstance(value, timedelta) else value)

    def get_session_cookie_age(self) -> int:
        """The conversation's lifetime in seconds."""
        return int(self.state.lifetime / _SECOND)

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Seconds until the session expires: at most the conversation's lifetime."""
        age: int = super().get_expiry_age(**{"modification": self._now(), **kwargs})
        return min(age, self.get_session_cookie_age())

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """When the session expires: within the conversation's lifetime."""
        kwargs = {"modification": self._now(), **kwargs}
        date: datetime = super().get_expiry_date(**kwargs)
        latest: datetime = kwargs["modification"] + self.state.lifetime
        return min(date, latest)

    async def aset_expiry(self, value: int | datetime | timedelta | None) -> None:
        """As `set_expiry`."""
        self.set_expiry(value)

    async def aget_expiry_age(self, **kwargs: Any) -> int:
        """As `get_expiry_age`."""
        return self.get_expiry_age(**kwargs)

    async def aget_expiry_date(self, **kwargs: Any) -> datetime:
        """As `get_expiry_date`."""
        return self.get_expiry_date(**kwargs)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), timezone.utc if settings.USE_TZ else None)

    def hand_back(self) -> None:
        """Shorten the conversation's lifetime to the session's, and hide the session from SessionMiddleware."""
        state = self.state
        if state.locked is None and "_session_expiry" in state:
            age = timedelta(seconds=self.get_expiry_age())
            if age < _SECOND:
                state.end()
            else:
                state.lifetime = age
        self._handed_back = True


class ConversationSessionMiddleware:
    """Django middleware, to be placed right after SessionMiddleware; for WSGI and ASGI."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        serializer = import_string(settings.SESSION_SERIALIZER)
        self._backing = Backing(
            lambda value: serializer().dumps(value).decode(),
            lambda text: serializer().loads(text.encode()),
        )

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request: returns its response, or under ASGI a coroutine."""
        if self._is_async:
            return self._serve(request)
        session = self._hand_over(request)
        response = self.get_response(request)
        return self._hand_back(request, session, response)

    async def _serve(self, request: HttpRequest) -> HttpResponse:
        session = self._hand_over(request)
        response = await self.get_response(request)
        return self._hand_back(request, session, response)

    def _hand_over(self, request: HttpRequest) -> ConversationSession | None:
        environ = getattr(request, "scope", request.META)
        state = environ.get(STATE_KEY)
        if state is None and not hasattr(request, "session"):
            state = unkept_state(environ)
        if state is None:
            return None
        clock = environ.get(CLOCK_KEY, time.time)
        session = request.session = ConversationSession(state, self._backing, clock)
        return session

    def _hand_back(
        self, request: HttpRequest, session: ConversationSession | None, response: HttpResponse
    ) -> HttpResponse:
        if session is not None:
            if request.session is not session:
                raise UsageError(
                    "Another middleware has replaced the conversation's session. "
                    "Put ConversationSessionMiddleware after SessionMiddleware"
                )
            session.hand_back()
        return response
