"""FastAPI: bare, wrapped, and verifying in a dependency with sessions on Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response

from benchmarks.apps import CONTENT_TYPE, count, settings, twiml
from benchmarks.webhooks import PATH, TOKEN


def bare(number: Callable[[Request], int] = lambda _: 2, depends: Sequence[Any] = ()) -> FastAPI:
    """An app whose one path answers with a number."""
    app = FastAPI()

    @app.post(PATH, dependencies=depends)
    async def answer(request: Request) -> Response:
        return Response(twiml(number(request)), media_type=CONTENT_TYPE)

    return app


def wrapped(store: str) -> FastAPI:
    """Wrapped."""
    from convostate.asgi import ConversationMiddleware

    app = bare(lambda request: count(request.session))
    app.add_middleware(ConversationMiddleware, settings(store=store))
    return app


def starsessions(store: str) -> FastAPI:
    """RequestValidator, and https://github.com/alex-oleshkevich/starsessions."""
    from redis.asyncio import Redis
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware
    from starsessions.stores.redis import RedisStore
    from twilio.request_validator import RequestValidator

    checker = RequestValidator(TOKEN)

    async def verified(request: Request) -> None:
        form = await request.form()
        signature = request.headers.get("X-Twilio-Signature", "")
        if not checker.validate(str(request.url), form, signature):
            raise HTTPException(403)

    app = bare(lambda request: count(request.session), [Depends(verified)])
    app.add_middleware(SessionAutoloadMiddleware)
    kept = RedisStore(connection=Redis.from_url(store))
    app.add_middleware(SessionMiddleware, store=kept, lifetime=4 * 3600, rolling=True)
    return app
