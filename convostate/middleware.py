"""What the doors for WSGI and ASGI share: what is made once at start-up, the URL of a request, the end of a turn."""

from __future__ import annotations

import inspect
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from convostate.errors import RequestError, UsageError
from convostate.events import Observed, TurnObserver
from convostate.paths import everything, guard
from convostate.state import WEBHOOK_KEY
from convostate.turns import Response, configure, empty_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from convostate.events import TurnEvent
    from convostate.refusals import RefusalLog
    from convostate.settings import Settings
    from convostate.turns import Turn
    from convostate.twilio.diagnosis import Arrival
    from convostate.twilio.signature import Request

_AN_APP = {"WSGI": "a WSGI app", "ASGI": "an ASGI app"}
_CLASS = {
    "WSGI": "convostate.ConversationMiddleware",
    "ASGI": "convostate.asgi.ConversationMiddleware",
}


class Middleware:
    """Wraps an app; the two subclasses document the arguments.

    Attributes:
        app, settings, store: As given, or the defaults.
    """

    interface: str
    """``WSGI`` or ``ASGI``."""
    store: Any
    make_store: Callable[[Settings], Any]
    arrival_of: Callable[[Any, str | None, object], Arrival]
    """What the server knows about a request: of its environ or scope, the public URL and the app."""

    def __init__(
        self,
        app: Any,
        settings: Settings | None = None,
        *,
        store: Any = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        if any(isinstance(layer, Middleware) for layer in layers(app)):
            raise UsageError(
                "This app is wrapped already. Wrap it once, with one ConversationMiddleware(app)"
            )
        found = interface_of(app)
        if found != self.interface:
            got = _AN_APP[found] if found else type(app).__name__
            advice = "Give it a callable, such as app.wsgi_app"
            if callable(app) and not found:
                advice = "If it makes the app, call it: ConversationMiddleware(create_app())"
            if found:
                advice = f"Wrap it with {_CLASS[found]}"
            raise UsageError(
                f"{_CLASS[self.interface]} takes {_AN_APP[self.interface]}, got {got}. {advice}"
            )
        self.app = app
        self.settings, self.store, self.turn_config = configure(
            settings, store, type(self).make_store
        )
        self._public_url = self.settings.public_url
        self._max_body_bytes = self.settings.max_body_bytes
        self._secrets = self.settings.secrets()
        self._on_turn = on_turn
        self.observer = TurnObserver(on_turn, self.turn_config.names.log_id)
        guards = guard(self.settings.paths)
        self._guards = None if guards is everything else guards
        self._defers = guard(self.settings.defer_paths) if self.settings.defer_paths else None

    @cached_property
    def _refusals(self) -> RefusalLog:
        from convostate.refusals import RefusalLog  # noqa: PLC0415  # a tenth of the code, for refusals

        return RefusalLog(self._secrets)

    def __repr__(self) -> str:
        return f"ConversationMiddleware({getattr(self, 'settings', '…')!r})"  # … if they are wrong

    async def announce(self, turn: Turn, now: float) -> None:
        """Announce the text that the commit of a turn is to keep."""
        assert turn.begun is not None
        assert turn.deferred is not None
        clock = None if turn.store_decides else now
        await self.store.work.defer(turn.begun, *turn.deferred, clock)

    def _pass_by(self, environ: MutableMapping[str, Any], path: str, *, signed: bool) -> None:
        """Record that a request takes a path that is not guarded."""
        environ.setdefault(WEBHOOK_KEY, None)  # for the message of state_from()
        if signed:
            self._refusals.log_unguarded(path)

    def _refuse(
        self,
        error: Exception,
        request: Request | None,
        environ: MutableMapping[str, Any],
        began_s: float,
    ) -> Response:
        """Log and report a refusal, whose error may be a fault of the verification, and make its response."""
        arrival = partial(type(self).arrival_of, environ, self._public_url, self.app)
        refusal = self._refusals.log(error, request, arrival)
        response = empty_response(refusal.status)
        refused = Observed()
        refused.came_to("refused", refusal.category)
        refused.began_s, refused.verify_s = began_s, time.perf_counter() - began_s
        refused.request_bytes = len(request.body) if request is not None else 0
        self.observer.report(refused, response)
        return response


def too_long(what: str, most: int, units: str) -> RequestError:
    """The error of a request whose URL or body is too long."""
    return RequestError(413, "length", f"the {what} is longer than {most} {units}")


PATH_SAFE = "/;=,:@!$&'()*+~"  # RFC 3986 §3.3: what a path segment holds unescaped


def layers(app: object) -> Iterator[object]:
    """A stack of apps, the outermost first, as far as each names the next as Flask, Quart, Starlette or most others do."""
    for _ in range(20):  # a stack, not a cycle
        if app is None:
            return
        yield app
        # The last three: WhiteNoise and Paste, asgiref's WsgiToAsgi, OpenTelemetry.
        names = ("wsgi_app", "asgi_app", "middleware_stack", "app", "application", "wsgi_application", "wsgi")  # fmt: skip
        app = next(filter(None, (getattr(app, name, None) for name in names)), None)


def mounted(app: object) -> Iterator[tuple[str, Any]]:
    """The apps that Werkzeug's DispatcherMiddleware, Starlette or FastAPI mount in a stack, each with its path."""
    for layer in layers(app):
        mounts, routes = getattr(layer, "mounts", None), getattr(layer, "routes", None)
        if isinstance(mounts, dict):
            yield from mounts.items()
        for route in routes if isinstance(routes, list) else ():
            yield getattr(route, "path", ""), getattr(route, "app", None)


def interface_of(app: Any) -> str:
    """The interface of an app: ``WSGI``, ``ASGI``, or "" if it cannot be called as one.

    An ASGI app is a coroutine function, or has one as `__call__`, or takes three arguments. A WSGI app takes two.
    """
    if not callable(app):
        return ""
    if any(map(inspect.iscoroutinefunction, (app, type(app).__call__))):
        return "ASGI" if accepts(app, None, None, None) else ""
    if accepts(app, None, None):
        return "WSGI"
    if accepts(app, None, None, None):
        return "ASGI"
    # Werkzeug's Request.application makes a WSGI app of a function that takes a request. A factory takes nothing.
    is_decorated = not accepts(app) and accepts(app, None, None, follow_wrapped=False)
    return "WSGI" if is_decorated else ""


def accepts(function: Any, *args: object, follow_wrapped: bool = True) -> bool:
    """Whether it can be called with these arguments; if it has no signature, whether it is callable."""
    try:
        inspect.signature(function, follow_wrapped=follow_wrapped).bind(*args)
    except TypeError:
        return False
    except ValueError:  # written in C
        return callable(function)
    return True
