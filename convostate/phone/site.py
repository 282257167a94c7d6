"""The phone's site: the page's files, its data, and its actions."""

from __future__ import annotations

import json
import mimetypes
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from convostate.errors import ConvostateError
from convostate.phone import security

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from convostate.phone.session import PhoneSession

PAGE = Path(__file__).with_name("page")
# By name, so that a request cannot reach another file.
_FILES = {path.name: path for path in PAGE.iterdir()}
MAX_REQUEST_BYTES = 64 * 1024
WAIT_S = 20.0  # how long a page waits for new data before it asks again

_URLS = Map(
    [
        Rule("/", endpoint="file", defaults={"name": "index.html"}),
        Rule("/look", endpoint="look", methods=["GET"]),
        Rule("/do/<action>", endpoint="do", methods=["POST"]),
        Rule("/<name>", endpoint="file", methods=["GET"]),
    ],
    redirect_defaults=False,  # /index.html is the same as /
)
# Actions that take the phone alone.
_SIMPLE = frozenset(
    "resend start call wait hang-up lose-cookie stale-cookie break-signature drop-reply".split()
)


class Site:
    """The WSGI app of the phone's page.

    Args:
        session: None if the app does not load.
        name: The app, ``module:name``.
        token: That of the printed URL; requests without it are refused.
        broken: The traceback if the app does not load, or "".
        save: Called after every action, to save the state for a later process.
    """

    def __init__(
        self,
        session: PhoneSession | None,
        name: str,
        token: str,
        *,
        broken: str = "",
        save: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._name = name
        self._token = token
        self._broken = broken
        self._save = save

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        request = Request(environ)
        request.max_content_length = MAX_REQUEST_BYTES
        response: Response
        try:
            security.check(request, self._token)
            if security.shows_token(request, self._token):
                response = security.welcome(request, self._token)
            else:
                endpoint, values = _URLS.bind_to_environ(environ).match()
                response = getattr(self, f"_{endpoint}")(request, **values)
        except HTTPException as error:
            if request.path == "/":  # a person reads it
                response = Response(error.description, error.code, mimetype="text/plain")
            else:
                response = _json({"error": error.description}, error.code or 500)
            for header, value in error.get_headers():
                if header == "Allow":
                    response.headers[header] = value
        response.headers.update(security.HEADERS)
        return response(environ, start_response)

    def _file(self, _: Request, name: str) -> Response:
        path = _FILES.get(name)
        if path is None:
            return _json({"error": "There is nothing here."}, 404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "application/javascript":
            kind = "text/javascript"
        return Response(path.read_bytes(), content_type=f"{kind}; charset=utf-8")

    def _look(self, request: Request) -> Response:
        session = self._session
        if session is None:
            return _json({"app": self._name, "broken": self._broken, "mark": "broken"})
        seen = request.args.get("seen", "")
        session.transcript.wait(seen, WAIT_S, lambda: session.has_news)
        session.collect()
        text = session.transcript.to_json(
            app=self._name,
            broken="",
            wrapped=session.target.wrapped,
            starts=session.target.start is not None,
            store=session.inspector.where,
            server_side=session.inspector.server_side,
            now=session.simulator.clock.now(),
            stored=session.all_stored(),
            calls=session.all_calls(),
        )
        return Response(text, content_type="application/json")

    def _do(self, request: Request, action: str) -> Response:
        session = self._session
        if session is None:
            return _json({"error": "The app does not load. Fix it and save."}, 409)
        act = _action(session, action, _values(request))
        try:
            done = act()
        except ConvostateError as error:
            return _json({"error": str(error)}, 409)
        finally:
            session.transcript.touch()
            self._save()
        return _json({"done": done})


def _values(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        values = json.loads(request.get_data())
        json.dumps(values, ensure_ascii=False).encode()  # half a surrogate pair is not a character
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise BadRequest("Send a JSON object.")
    return values


def _action(session: PhoneSession, name: str, values: dict[str, Any]) -> Callable[[], Any]:
    """An action with its arguments, ready to be called: errors of the call are not the request's fault.

    Raises:
        BadRequest: There is no such action, or its values are invalid.
    """
    arguments: dict[str, Callable[[int], tuple[Any, ...]]] = {
        "add-phone": lambda _: (str(values["number"]), str(values["texting"])),
        "text": lambda phone: (
            phone,
            str(values["body"]),
            [str(url) for url in values.get("media", [])],
            2 if values.get("twice") else 1,
        ),
        "overlap": lambda _: (
            [(int(each["phone"]), str(each["body"])) for each in values["texts"]],
        ),
        "press": lambda phone: (phone, str(values["keys"])),
        "say": lambda phone: (phone, str(values["words"])),
        "swap-cookie": lambda phone: (phone, int(values["other"])),
        "move-clock": lambda _: (float(values["seconds"]),),
        "move-clock-to": lambda phone: (phone, str(values["edge"])),
        **dict.fromkeys(_SIMPLE, lambda phone: (phone,)),
    }
    if name not in arguments:
        raise BadRequest("There is no such action.")
    try:
        args = arguments[name](int(values.get("phone", 0)))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BadRequest(f"The values of {name} are invalid.") from error
    return partial(getattr(session, name.replace("-", "_")), *args)


def _json(values: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(values), status, content_type="application/json")
