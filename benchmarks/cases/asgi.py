"""The same FastAPI app bare, wrapped, and with RequestValidator in a dependency and sessions on Redis.

In processor time: while an event loop waits for Redis, it serves others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from twilio.request_validator import RequestValidator

from benchmarks.apps import CONTENT_TYPE, cookie_from, count, settings, twiml
from benchmarks.cases.flask import beside
from benchmarks.measure import Contender
from benchmarks.webhooks import PATH, TOKEN, Signed, headers_of, sms
from benchmarks.worker import Work
from convostate.asgi import ConversationMiddleware
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Figure
    from benchmarks.measure import Scale

TITLE = "processor time over bare FastAPI on one redis-server, one event loop"
BOUND = 0.7  # × FastAPI + RequestValidator + starsessions on Redis
PEOPLE = 200


def bare() -> FastAPI:
    """Answer, and keep nothing."""
    app = FastAPI()

    @app.post(PATH)
    async def answer() -> Response:
        return Response(twiml(2), media_type=CONTENT_TYPE)

    return app


def wrapped(store: str) -> FastAPI:
    """Count in the conversation's state."""
    app = FastAPI()

    @app.post(PATH)
    async def answer(request: Request) -> Response:
        return Response(twiml(count(request.session)), media_type=CONTENT_TYPE)

    app.add_middleware(ConversationMiddleware, settings(store=store))
    return app


def starsessions(store: str) -> FastAPI:
    """Verify in a dependency, and count in a session: https://github.com/alex-oleshkevich/starsessions."""
    from redis.asyncio import Redis  # noqa: PLC0415
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware  # noqa: PLC0415
    from starsessions.stores.redis import RedisStore  # noqa: PLC0415

    app = FastAPI()
    checker = RequestValidator(TOKEN)

    async def verified(request: Request) -> None:
        form = await request.form()
        signature = request.headers.get("X-Twilio-Signature", "")
        if not checker.validate(str(request.url), form, signature):
            raise HTTPException(403)

    @app.post(PATH, dependencies=[Depends(verified)])
    async def answer(request: Request) -> Response:
        return Response(twiml(count(request.session)), media_type=CONTENT_TYPE)

    app.add_middleware(SessionAutoloadMiddleware)
    kept = RedisStore(connection=Redis.from_url(store))
    app.add_middleware(SessionMiddleware, store=kept, lifetime=4 * 3600, rolling=True)
    return app


def contender(name: str, store: str = "") -> Work:
    """One call is one text through an app above, on one event loop."""
    app = bare() if name == "bare" else globals()[name](store)
    loop = asyncio.new_event_loop()

    def ask(request: tuple[Signed, str]) -> list[tuple[str, str]]:
        return loop.run_until_complete(_ask(app, *request))

    cookies = [cookie_from(ask((sms(person), ""))) for person in range(PEOPLE)]
    return Work(
        lambda calls: [(sms(index % PEOPLE), cookies[index % PEOPLE]) for index in range(calls)],
        ask,
    )


async def _ask(app: FastAPI, webhook: Signed, cookie: str) -> list[tuple[str, str]]:
    """Ask as uvicorn would; the headers of the answer."""
    headers = headers_of(webhook, cookie).items()
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "scheme": "https", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    received = [{"type": "http.request", "body": webhook.body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"the app answered {sent[0]['status']}")
    return [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]


def run(scale: Scale) -> Iterator[Figure]:
    """Measure."""
    me = "benchmarks.cases.asgi:contender"
    with redis_server() as server:
        yield from beside(
            Contender("bare FastAPI", me, {"name": "bare"}),
            Contender("convostate, Redis", me, {"name": "wrapped", "store": server.url}),
            Contender("starsessions on Redis", me, {"name": "starsessions", "store": server.url}),
            BOUND,
            scale,
        )
