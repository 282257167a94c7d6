"""The phone's site: the page's files, what it looks at, and what it does."""

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
from convostate.phone.faults import FaultMaker
from convostate.phone.session import LOOK_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from convostate.phone.session import PhoneSession

PAGE = Path(__file__).with_name("page")
# By name, so that no name leads to another file.
_FILES = {path.name: path for path in PAGE.iterdir()}
MAX_REQUEST_BYTES = 64 * 1024

_URLS = Map(
    [
        Rule("/", endpoint="file", defaults={"name": "index.html"}),
        Rule("/look", endpoint="look", methods=["GET"]),
        Rule("/do/<action>", endpoint="do", methods=["POST"]),
        Rule("/<name>", endpoint="file", methods=["GET"]),
    ],
    redirect_defaults=False,  # /index.html is what / is
)


class Site:
    """The WSGI app of the phone's page.

    Args:
        board: The phones; None where the app could not be loaded.
        name: The app, ``module:name``.
        token: The token of the printed URL; whoever has not seen it is refused.
        broken: The traceback of what kept it from loading, or "".
        save: Called after every action, to hand on what is there to a later process.
    """

    def __init__(
        self,
        board: PhoneSession | None,
        name: str,
        token: str,
        *,
        broken: str = "",
        save: Callable[[], None] = lambda: None,
    ) -> None:
        self._board = board
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
                welcome = security.welcome(request, self._token)
                return security.protect(welcome)(environ, start_response)
            endpoint, values = _URLS.bind_to_environ(environ).match()
            response = getattr(self, f"_{endpoint}")(request, **values)
        except HTTPException as error:
            if request.path == "/":  # a person reads it
                response = Response(
                    error.description, error.code, content_type="text/plain; charset=utf-8"
                )
            else:
                response = _json({"trouble": error.description}, error.code or 500)
            for header, value in error.get_headers():
                if header == "Allow":
                    response.headers[header] = value
        return security.protect(response)(environ, start_response)

    def _file(self, _: Request, name: str) -> Response:
        path = _FILES.get(name)
        if path is None:
            return _json({"trouble": "There is nothing here."}, 404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind == "application/javascript":
            kind = "text/javascript"
        return Response(path.read_bytes(), content_type=f"{kind}; charset=utf-8")

    def _look(self, request: Request) -> Response:
        board = self._board
        if board is None:
            return _json({"app": self._name, "broken": self._broken, "mark": "broken"})
        seen = request.args.get("seen", "")
        board.transcript.wait(seen, LOOK_S, lambda: board.stirred)
        board.collect()
        clock = board.simulator.clock
        text = board.transcript.to_json(
            app=self._name,
            broken="",
            wrapped=board.target.wrapped,
            starts=board.target.start is not None,
            store=board.inspector.where,
            server_side=board.inspector.server_side,
            now=clock.now(),
            kept=board.all_kept(),
            calls=board.all_calls(),
        )
        return Response(text, content_type="application/json")

    def _do(self, request: Request, action: str) -> Response:
        board = self._board
        if board is None:
            return _json({"trouble": "The app does not load yet. Fix it and save."}, 409)
        act = _read(board, action, _told(request))
        try:
            done = act()
        except ConvostateError as error:
            return _json({"trouble": str(error)}, 409)
        finally:
            board.transcript.touch()
            self._save()
        return _json({"done": done})


def _told(request: Request) -> dict[str, Any]:
    """The facts of an action."""
    try:
        told = json.loads(request.get_data())
        json.dumps(told, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadRequest("Send a JSON object.")
    return told


def _read(board: PhoneSession, action: str, told: dict[str, Any]) -> Callable[[], Any]:
    """An action, ready to be carried out with what was told of it.

    Raises:
        BadRequest: There is no such action, or it cannot be made of what was told.
    """
    faults = FaultMaker(board)
    # Two steps each: what surprises in the second is no fault of the request.
    actions: dict[str, Callable[[int], Callable[[], Any]]] = {
        "add-phone": lambda _: partial(board.add_phone, str(told["number"]), str(told["texting"])),
        "text": lambda phone: partial(
            board.text,
            phone,
            str(told["body"]),
            [str(url) for url in told.get("media", [])],
            2 if told.get("twice") else 1,
        ),
        "overlap": lambda _: partial(
            board.overlap, [(int(text["phone"]), str(text["body"])) for text in told["texts"]]
        ),
        "resend": lambda phone: partial(board.resend, phone),
        "start": lambda phone: partial(board.start, phone),
        "call": lambda phone: partial(board.call, phone),
        "press": lambda phone: partial(board.press, phone, str(told["keys"])),
        "say": lambda phone: partial(board.say, phone, str(told["words"])),
        "wait": lambda phone: partial(board.wait, phone),
        "hang-up": lambda phone: partial(board.hang_up, phone),
        "lose-cookie": lambda phone: partial(faults.lose_cookie, phone),
        "stale-cookie": lambda phone: partial(faults.stale_cookie, phone),
        "swap-cookie": lambda phone: partial(faults.swap_cookie, phone, int(told["other"])),
        "break-signature": lambda phone: partial(faults.break_signature, phone),
        "drop-reply": lambda phone: partial(faults.drop_reply, phone),
        "move-clock": lambda _: partial(faults.move_clock, float(told["seconds"])),
        "move-clock-to": lambda phone: partial(faults.move_clock_to, phone, str(told["edge"])),
    }
    if action not in actions:
        raise BadRequest("There is no such action.")
    try:
        return actions[action](int(told.get("phone", 0)))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise BadRequest(f"That is no {action}.") from error


def _json(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(answer), status, content_type="application/json")
