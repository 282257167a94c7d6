"""PasteDeploy: the middleware as a filter of an ini file.

    [filter:convostate]
    use = egg:convostate
    paths = /sms
    store = redis://localhost

A setting that is not in the section comes from its environment variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostate.settings import Settings, check_names
from convostate.wsgi.middleware import ConversationMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication


def main(
    app: WSGIApplication,
    global_conf: Mapping[str, str],  # noqa: ARG001  PasteDeploy passes [DEFAULT]
    **settings: Any,
) -> ConversationMiddleware:
    """Wrap an app with the settings of a ``[filter:…]`` section.

    Raises:
        UsageError: A setting is unknown or invalid.
    """
    check_names(settings)  # `environ` would be an argument of `from_environ`
    return ConversationMiddleware(app, Settings.from_environ(**settings))
