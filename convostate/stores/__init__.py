"""Where conversations are kept: in Twilio's cookies, in memory, or in Redis."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.stores.base import Store
from convostate.stores.cookie import CookieStore

if TYPE_CHECKING:
    from convostate.stores.memory import MemoryStore
    from convostate.stores.redis.store import RedisStore

__all__ = ["CookieStore", "MemoryStore", "RedisStore", "Store"]


def store_for(url: str, *, cookie_name: str, max_waiting: int) -> Store:
    """The store that CONVOSTATE_STORE names.

    Args:
        url: ``cookie``, ``memory`` or the URL of a Redis, as the settings take it.
        cookie_name: For the cookie store.
        max_waiting: For a store that remembers: how many turns of one conversation may wait at once.

    Raises:
        UsageError: The extra that the URL needs is missing, or the URL is wrong.
    """
    if url == "cookie":
        return CookieStore(cookie_name)
    if url == "memory":
        from convostate.stores.memory import MemoryStore  # noqa: PLC0415  # loaded on first use

        return MemoryStore(max_waiting=max_waiting)
    try:
        from convostate.stores.redis.store import RedisStore  # noqa: PLC0415  # an extra, loaded on first use
    except ModuleNotFoundError as error:
        raise UsageError(
            f"CONVOSTATE_STORE={url.partition(':')[0]}://… needs the package {error.name}. "
            'Run: pip install "convostate[redis]"'
        ) from error
    store: Store = RedisStore.from_url(url, max_waiting=max_waiting)
    return store


if not TYPE_CHECKING:  # a type checker would take any name at all for granted

    def __getattr__(name: str) -> Any:
        # Loaded on first use: most installations need neither, and redis is an extra that takes long.
        if name in ("MemoryStore", "RedisStore"):
            try:
                module = import_module(f"{__name__}.{name.removesuffix('Store').lower()}")
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f'{name} needs the package {error.name}. Run: pip install "convostate[redis]"',
                    name=error.name,
                ) from error
            return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
