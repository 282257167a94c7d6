"""Bottle: a handler with a `conversation` argument gets the State.

    app.install(ConversationPlugin())
    ...
    application = ConversationMiddleware(app)

Other handlers are unchanged.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any

from convostate.frameworks import missing
from convostate.state import state_from

try:
    from bottle import PluginError, request
except ModuleNotFoundError as error:
    raise missing("Bottle") from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from bottle import Bottle, Route


class ConversationPlugin:
    """Passes the State to handlers with the argument; other handlers are unchanged.

    Args:
        keyword: The name of the argument.
    """

    name = "conversation"
    api = 2  # the version of Bottle's plugin API

    def __init__(self, keyword: str = "conversation") -> None:
        self.keyword = keyword

    def setup(self, app: Bottle) -> None:
        """Check that no other plugin of the app passes the same argument.

        Raises:
            PluginError: Another plugin does.
        """
        for other in app.plugins:
            if isinstance(other, ConversationPlugin) and other.keyword == self.keyword:
                raise PluginError(f"another ConversationPlugin fills the argument {self.keyword!r}")

    def apply(self, callback: Callable[..., Any], route: Route) -> Callable[..., Any]:
        """Wrap a handler that has the argument.

        On a path that is not guarded there is no conversation, and the handler raises UsageError.
        """
        if not self._is_argument_of(route):
            return callback

        @wraps(callback)
        def with_conversation(*args: Any, **kwargs: Any) -> Any:
            kwargs[self.keyword] = state_from(request.environ)
            return callback(*args, **kwargs)

        return with_conversation

    def _is_argument_of(self, route: Route) -> bool:
        # Bottle's get_callback_args() takes any function in a handler's closure for the handler
        # itself, so it is used only for a decorator that hides the arguments.
        arguments = inspect.signature(route.callback).parameters
        hidden = any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values())
        return self.keyword in arguments or (hidden and self.keyword in route.get_callback_args())
