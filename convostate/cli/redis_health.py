"""Whether a Redis can keep conversations, for ``convostate doctor``."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from convostate.cli.findings import Finding
from convostate.core.encoding import to_base64url
from convostate.core.outcome import Claim, End, Keep
from convostate.errors import ConvostateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.settings import Settings
    from convostate.stores import Store

_OLDEST = (6, 2)  # the first with all the commands that the scripts use
_SKEW_S = 60  # as far as a token's clock may be off


def examine_store(store: Store, settings: Settings) -> Iterator[Finding]:
    """Take a turn in the store, then look at how its server is set up."""
    if not store.server_side:
        yield Finding("ok", "the state travels in Twilio's cookie: there is no store to check")
        return
    began = time.monotonic()
    try:
        _round_trip(store)
    except ConvostateError as error:
        yield Finding.fault(error)
        return
    took_ms = (time.monotonic() - began) * 1000
    yield Finding("ok", f"the store takes a turn: begin, write, commit, erase in {took_ms:.1f} ms")
    if settings.store == "memory":
        return
    yield from _examine_server(settings.store)


def _round_trip(store: Store) -> None:
    """A turn of a conversation that nobody has."""
    claim = Claim(to_base64url(secrets.token_bytes(16)), to_base64url(secrets.token_bytes(16)))
    now = time.time()
    token = secrets.token_bytes(97)
    for outcome in (Keep(token, 60), End(token, 60)):
        begun = store.begin(claim._replace(fingerprint=None), "", now)
        store.commit(begun, outcome, None, now)  # type: ignore[arg-type]  # no fingerprint, so no Replay
    store.erase(claim, replies=True)


def _examine_server(url: str) -> Iterator[Finding]:
    from convostate.stores.redis_url import client_maker  # noqa: PLC0415  # redis is an extra

    client: Any = client_maker(url)()
    try:
        info = _first(client.info())
        clock = _first(client.time())
        policy = str(_first(client.config_get("maxmemory-policy")).get("maxmemory-policy", ""))
    except Exception as error:  # noqa: BLE001  # of many kinds, and none of them is the store's failure
        yield Finding(
            "note",
            f"the server's version, clock and eviction policy cannot be read ({type(error).__name__})",
            "Grant INFO, TIME and CONFIG GET to the user of CONVOSTATE_STORE while you run doctor",
        )
        return
    finally:
        client.close()
    version = str(info.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        yield Finding(
            "fault", f"the server is Redis {version}", "Run Redis 6.2 or newer, or Valkey"
        )
    else:
        yield Finding("ok", f"the server is Redis {version}")
    if policy not in ("noeviction", ""):
        yield Finding(
            "fault",
            f"the server may evict conversations: maxmemory-policy is {policy}",
            "Run: redis-cli config set maxmemory-policy noeviction, and write it into redis.conf",
        )
    skew_s = abs(time.time() - (clock[0] + clock[1] / 1e6))
    if skew_s > _SKEW_S:
        yield Finding(
            "note",
            f"the server's clock and this host's are {skew_s:.0f} s apart",
            "Synchronise both with NTP",
        )


def _first(answer: Any) -> Any:
    """A cluster's answers come by node; one node stands for all."""
    if isinstance(answer, dict) and answer and all(":" in str(node) for node in answer):
        return next(iter(answer.values()))
    return answer
