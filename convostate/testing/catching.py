"""Catching: nothing reaches Twilio while an app is simulated, whoever sends it.

Every request of twilio-python, blocking or asynchronous, passes through two methods of one class. Once a
simulator has called an app in this process, they ask here first. They do so for as long as the simulator
or one of its phones is referenced, so that threads which the app has started are caught as well. For any
other HTTP client, Twilio's hosts have no address meanwhile.

twilio-python takes half a second to import, so nothing here imports it before the app does.
"""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from convostate.testing.account import Account

_CLIENT = "twilio.base.client_base"

_lock = threading.Lock()
_blocks: list[Account] = []  # of `caught_clients`, innermost last
_used: list[Account] = []  # accounts that have called an app of this process, the latest last
_delivering: ContextVar[Account] = ContextVar("convostate.testing.delivering")


@contextmanager
def caught_clients(account: Account) -> Iterator[None]:
    """Answer every client of this process until the block ends."""
    _watch()
    with _lock:
        _blocks.append(account)
    try:
        yield
    finally:
        with _lock:
            _blocks.remove(account)


@contextmanager
def delivering(account: Account) -> Iterator[None]:
    """Answer the clients of the app that is called in this block, and of its threads and tasks."""
    _watch()
    with _lock:
        _used[:] = [each for each in _used if each is not account and each.in_use()] + [account]
    token = _delivering.set(account)
    try:
        yield
    finally:
        _delivering.reset(token)


def _accounts() -> list[Account]:
    """The accounts that may answer, the most likely first."""
    current = _delivering.get(None)
    with _lock:
        accounts = [*(each for each in _used if each.in_use()), *_blocks, current]
    return [account for account in reversed(accounts) if account is not None]


def _watch() -> None:
    """Patch twilio's client, now or once it is imported, and the look-up of host names."""
    with _lock:
        # Another tool may have replaced the function since, and may call ours.
        if getattr(socket.getaddrinfo, "__code__", None) is not _RESOLVE_OTHERS:
            socket.getaddrinfo = _without_twilio(socket.getaddrinfo)
    module = sys.modules.get(_CLIENT)
    if module is not None:
        _patch(module)
    elif not any(isinstance(finder, _OnImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OnImport())


def _without_twilio(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """``socket.getaddrinfo``, which all HTTP clients use; but while an app is simulated, Twilio has no address."""

    @wraps(resolve)
    def resolve_others(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode("latin-1") if isinstance(host, bytes) else str(host)
        if f".{name.lower().rstrip('.')}".endswith(".twilio.com") and _accounts():
            raise socket.gaierror(
                socket.EAI_FAIL,
                "While an app is simulated, nothing is sent to Twilio. Send through twilio.rest.Client, "
                "which the simulator answers",
            )
        return resolve(host, *args, **kwargs)

    return resolve_others


_RESOLVE_OTHERS = _without_twilio(socket.getaddrinfo).__code__


class _OnImport:
    """A finder that patches twilio's client as soon as it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _CLIENT:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_patch(module: ModuleType) -> None:
                run(module)
                _patch(module)
                sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

            spec.loader.exec_module = run_and_patch  # type: ignore[method-assign]
        return spec


def _patch(module: Any) -> None:
    base = module.ClientBase
    if hasattr(base, "convostate_patched"):
        return
    base.convostate_patched = True
    request, request_async = base.request, base.request_async

    def caught_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        accounts = _accounts()
        return _answer(self, accounts, args, kwargs) if accounts else request(self, *args, **kwargs)

    async def caught_request_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        accounts = _accounts()
        if accounts:
            return _answer(self, accounts, args, kwargs)
        return await request_async(self, *args, **kwargs)

    base.request, base.request_async = caught_request, caught_request_async


def _answer(client: Any, accounts: list[Account], args: Any, kwargs: Any) -> Any:
    rest = importlib.import_module("convostate.testing.rest")  # needs the package twilio
    return rest.answer(client, accounts, *args, **kwargs)
