"""Where conversations are kept: in Twilio's cookies, in memory, or in Redis."""

from __future__ import annotations

from importlib import import_module
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from convostate.errors import ConvostateError, UsageError
from convostate.settings import SERVER_STORES
from convostate.stores.base import MAX_WAITING, MAX_WAITING_IN_LOOP, AsyncStore, Store, is_store

if TYPE_CHECKING:
    from convostate.settings import Settings
    from convostate.stores.cookie import CookieStore
    from convostate.stores.memory import MemoryStore
    from convostate.stores.redis.store import RedisStore

__all__ = ["CookieStore", "MemoryStore", "RedisStore", "Store"]


def store_for(settings: Settings, *, max_waiting: int = MAX_WAITING) -> Store:
    """The store that CONVOSTATE_STORE names, for threads and processes.

    Args:
        settings: Of these, `store`, `cookie_name` and `max_waiting` are used.
        max_waiting: The default of that setting.

    Raises:
        UsageError: The extra that the store needs is missing, its URL is wrong, or a factory does not
            make a store that blocks.
    """
    name = settings.store
    if name == "cookie":
        from convostate.stores.cookie import CookieStore  # noqa: PLC0415  # loaded on first use

        return CookieStore(settings.cookie_name)
    waiting = max_waiting if settings.max_waiting is None else settings.max_waiting
    if name == "memory":
        from convostate.stores.memory import MemoryStore  # noqa: PLC0415  # loaded on first use

        return MemoryStore(max_waiting=waiting)
    if "://" in name:
        at_server: Store = _at_server(name, waiting)
        return at_server
    store: Store = _made_by(name)
    if iscoroutinefunction(store.begin):
        raise UsageError(
            "The factory in CONVOSTATE_STORE makes a store for asyncio, and a WSGI app and Conversations "
            "need one that blocks. Have it make one whose methods are not coroutines"
        )
    return store


def async_store_for(settings: Settings) -> AsyncStore:
    """The store that CONVOSTATE_STORE names, for an event loop; otherwise as `store_for`.

    A store of your own may be of either kind: one that blocks runs in threads.

    Raises:
        UsageError: As `store_for`.
    """
    from convostate.stores.aio import as_async_store  # noqa: PLC0415  # asyncio is not for everyone

    name = settings.store
    if "://" in name:
        waiting = MAX_WAITING_IN_LOOP if settings.max_waiting is None else settings.max_waiting
        return as_async_store(_at_server(name, waiting, asyncio=True))
    if ":" in name:
        return as_async_store(_made_by(name))
    return as_async_store(store_for(settings, max_waiting=MAX_WAITING_IN_LOOP))


def _at_server(url: str, max_waiting: int, *, asyncio: bool = False) -> Any:
    """The store that a URL names."""
    scheme = url.partition(":")[0]
    module, _, name = SERVER_STORES[scheme][asyncio].partition(":")
    try:
        made_by = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        extra = module.partition(".")[0]
        raise UsageError(
            f"CONVOSTATE_STORE={scheme}://… needs the package {error.name}. "
            f'Run: pip install "convostate[{extra}]"'
        ) from None
    return made_by.from_url(url, max_waiting=max_waiting)


def _made_by(factory: str) -> Any:
    """What ``package.module:factory`` makes."""
    module, _, name = factory.partition(":")
    try:
        store = getattr(import_module(module), name)()
    except ConvostateError:  # the store's own, such as a database that does not answer
        raise
    except Exception as error:
        is_import = isinstance(error, ImportError)
        what = (
            "module that cannot be imported"
            if is_import
            else "factory that cannot be called, or fails"
        )
        raise UsageError(
            f"CONVOSTATE_STORE names a {what} ({type(error).__name__}). Set CONVOSTATE_STORE="
            "package.module:factory, a function without arguments that returns a store with all methods of Store"
        ) from error
    if not is_store(store):
        raise UsageError(
            "The factory in CONVOSTATE_STORE does not return a store. "
            "Return an object of a class that is derived from convostate.stores.Store"
        )
    return store


if not TYPE_CHECKING:  # a type checker would take any name at all for granted

    def __getattr__(name: str) -> Any:
        # Loaded on first use: most installations need one, and redis is an extra that is slow to import.
        if name in ("CookieStore", "MemoryStore", "RedisStore"):
            try:
                module = import_module(f"{__name__}.{name.removesuffix('Store').lower()}")
            except ModuleNotFoundError as error:
                raise ModuleNotFoundError(
                    f'{name} needs the package {error.name}. Run: pip install "convostate[redis]"',
                    name=error.name,
                ) from error
            return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
