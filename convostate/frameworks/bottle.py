"""Bottle: a handler that names a `conversation` argument gets the State.

app.install(ConversationPlugin())
...
application = ConversationMiddleware(app)
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from convostate.state import state_from

try:
    from bottle import PluginError, request
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "this adapter needs Bottle: pip install bottle", name="bottle"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from bottle import Bottle, Route


class ConversationPlugin:
    """Hands the State to the handlers that ask for it; all others stay as they are.

    Args:
        keyword: The name of the argument.
    """

    name = "conversation"
    api = 2  # of Bottle's plugins

    def __init__(self, keyword: str = "conversation") -> None:
        self.keyword = keyword

    def setup(self, app: Bottle) -> None:
        """Make sure that no other plugin of the app fills the same argument.

        Raises:
            PluginError: One does.
        """
        for other in app.plugins:
            if isinstance(other, ConversationPlugin) and other.keyword == self.keyword:
                raise PluginError(f"another ConversationPlugin fills the argument {self.keyword!r}")

    def apply(self, callback: Callable[..., Any], route: Route) -> Callable[..., Any]:
        """Wrap a handler that names the argument.

        The handler raises UsageError on a path that is not guarded: there is no conversation.
        """
        if not self._is_named_by(route):
            return callback

        @wraps(callback)
        def with_conversation(*args: Any, **named: Any) -> Any:
            named[self.keyword] = state_from(request.environ)
            return callback(*args, **named)

        return with_conversation

    def _is_named_by(self, route: Route) -> bool:
        # Bottle's get_callback_args() takes any function in a handler's closure for the handler
        # itself, so it is asked only behind a decorator that hides the arguments.
        arguments = inspect.signature(route.callback).parameters
        hidden = any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values())
        return self.keyword in arguments or (hidden and self.keyword in route.get_callback_args())
