"""What every test here relies on."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import hypothesis
import pytest
from click.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from redis import Redis

    from convostate.stores import RedisStore, Store
    from tests.conversing import World
    from tests.packaged import Built
    from tests.redis_servers import RedisServer

# The example apps read their settings when they are imported. The values are examples.
os.environ["TWILIO_AUTH_TOKEN"] = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
os.environ["CONVOSTATE_KEYS"] = "x7iiBl0tHjvhJ5yrfV3ABILCQgSMgjK8u-1eHxxMpg8"

# Before 8.2 click's runner put standard output and errors into one, unless it was told not to.
if "mix_stderr" in inspect.signature(CliRunner).parameters:
    CliRunner.__init__ = functools.partialmethod(CliRunner.__init__, mix_stderr=False)  # type: ignore[method-assign, assignment]

IN_CI = os.environ.get("CI") == "true"

# A slow machine is no fault, and in CI every run tries the same examples.
hypothesis.settings.register_profile("house", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    # `pytest` alone is quick; CI, and an -m of one's own, decide otherwise.
    if not IN_CI and not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    # The whole suite uses every core, file by file, with a worker more because many tests wait for a
    # server; `-n0` and tests that are named use this process.
    # A worker, and a pytest that a test starts, never has workers of its own.
    whole = (
        config.args_source is pytest.Config.ArgsSource.TESTPATHS
        and "PYTEST_XDIST_WORKER" not in os.environ
    )
    if whole and getattr(config.option, "numprocesses", 0) is None and not config.option.usepdb:
        config.option.numprocesses = min(4, (os.cpu_count() or 1) + 1)
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


# What a server does with a script does not depend on who sends it: the first one is asked by both
# drivers of the Redis protocol, and each of the others by one.
SHOWN_BY_OTHERS = ({"redis 6.2", "loop"}, {"redis 8", "threads"}, {"valkey 9", "loop"})


def is_shown_by_others(item: pytest.Item) -> bool:
    """Whether the test is for a server and a driver that need not be tried together."""
    case = getattr(item, "callspec", None)
    names = {name for name in case.params.values() if isinstance(name, str)} if case else set()
    return any(pair <= names for pair in SHOWN_BY_OTHERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not is_shown_by_others(item)]
    # Files with a dear test go first: then no worker begins one when the others have ended.
    dear = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in dear)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    # The coverage floor is for quick tests. Slow ones, and searches, repeat at length what these do,
    # and tracing multiplies their time.
    if not {"slow", "unmeasured"} & {mark.name for mark in item.iter_markers()}:
        return (yield)
    traced, traced_threads = sys.gettrace(), threading.gettrace()
    measured = os.environ.pop("COVERAGE_PROCESS_START", None)
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        threading.settrace(traced_threads)
        sys.settrace(traced)
        if measured is not None:
            os.environ["COVERAGE_PROCESS_START"] = measured


def pytest_sessionfinish() -> None:
    # Once a worker has said that it is done, xdist kills it after 10 s, which a busy machine may take
    # to end it: what it has measured would be lost.
    coverage = sys.modules.get("coverage")
    if coverage is not None and (measuring := coverage.Coverage.current()) is not None:
        measuring.save()


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure: in CI a test that did not run proves nothing."""
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI=true allows no skip: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI:
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI:
        refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the sdist of this checkout."""
    from tests.packaged import ROOT, build

    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A client of a redis-server that all tests of this run share."""
    from tests.redis_servers import redis_server

    with redis_server() as server:
        yield server.admin


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A redis-server of the module's own, for its tests to bring into trouble."""
    from tests.redis_servers import redis_server

    with redis_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _closed_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test leaves open: in which order a socket and its owner are collected is chance."""
    module = sys.modules.get("convostate.stores.redis.store")
    if module is None:
        yield
        return
    made: WeakSet[RedisStore] = WeakSet()
    initialise = module.RedisStore.__init__

    @functools.wraps(initialise)
    def remember(self: RedisStore, *args: Any, **named: Any) -> None:
        initialise(self, *args, **named)
        made.add(self)

    monkeypatch.setattr(module.RedisStore, "__init__", remember)
    yield
    for store in made:
        store.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that wait ten times as long: a handshake of TLS or a burst may take more than a second on a busy machine."""
    from convostate.stores.redis import aio, client

    monkeypatch.setattr(aio, "TIMEOUT_S", 5.0)
    for bound in ("socket_timeout", "socket_connect_timeout"):
        monkeypatch.setitem(client._OURS, bound, 5.0)


@pytest.fixture(params=["wsgi", "asgi"])
def both_doors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The requests of `tests.served` go through one door, then through the other."""
    from tests.served import Door

    monkeypatch.setattr(Door, "asgi", request.param == "asgi")


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A server-side store with nothing in it."""
    from convostate.stores import MemoryStore, RedisStore

    if request.param == "memory":
        yield MemoryStore()
        return
    client = request.getfixturevalue("redis")
    client.flushall()
    with closing(RedisStore(client)) as made:
        yield made


@pytest.fixture
def world(store: Store) -> World:
    """An installation with that store."""
    from tests.conversing import World

    return World(store)


def demos() -> set[str]:
    """The names of the example apps that are loaded."""
    return {name for name in sys.modules if name.startswith("convostate.demo.")}


LOADED_BY_COLLECTION: set[str] = set()


def pytest_collection_finish() -> None:
    LOADED_BY_COLLECTION.update(demos())
    gc.freeze()  # what stays to the end need not be searched for garbage: 0.4 s each time


def pytest_runtest_teardown() -> None:
    # A demo keeps the settings that it was imported with, and no test leaves its own to the next.
    for name in demos() - LOADED_BY_COLLECTION:
        del sys.modules[name]
