"""The URLs of CONVOSTATE_STORE: what is taken, and what is refused at start-up without being shown."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from redis import Redis
from redis.sentinel import SentinelConnectionPool

from convostate import ConversationMiddleware, Settings, UsageError
from convostate.stores import RedisStore, store_for
from convostate.stores.redis.url import client_maker
from tests.conversing import KEY, TOKEN


def made(url: str) -> dict[str, Any]:
    """What the connections of a URL's client are made with."""
    client = client_maker(url)()
    assert isinstance(client, Redis)
    kwargs: dict[str, Any] = client.connection_pool.connection_kwargs
    return kwargs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://example.com", {"host": "example.com", "port": 6379, "db": 0}),
        ("redis://example.com:1234/7", {"port": 1234, "db": 7}),
        ("redis://example.com?db=7", {"db": 7}),
        ("redis://[::1]:1234", {"host": "::1", "port": 1234}),
        ("redis://:p%40ss@example.com", {"password": "p@ss"}),
        ("redis://us%2Fer:word@example.com", {"username": "us/er", "password": "word"}),
        ("rediss://example.com?ssl_cert_reqs=none", {"ssl_check_hostname": False}),
        ("rediss://example.com?ssl_ca_certs=/a%20b", {"ssl_ca_certs": "/a b"}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}),
        ("unix://user:word@/run/redis.sock", {"username": "user", "password": "word"}),
    ],
)
def test_a_url_names_the_server_and_the_user(url: str, expected: dict[str, Any]) -> None:
    kwargs = made(url)
    assert {name: kwargs[name] for name in expected} == expected
    assert kwargs["socket_timeout"] == 0.5
    assert kwargs["protocol"] == 2


def test_a_sentinel_url_names_sentinels_service_and_both_passwords() -> None:
    url = "redis+sentinel://:word@a,b:1/name/3?sentinel_password=other&ssl=true"
    client = client_maker(url)()
    assert isinstance(client, Redis)
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    sentinels = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"], one["password"]) for one in sentinels] == [
        ("a", 26379, "other"), ("b", 1, "other"),
    ]  # fmt: skip
    assert pool.service_name == "name"
    assert pool.connection_kwargs["password"] == "word"
    assert pool.connection_kwargs["db"] == 3


WRONG = [
    "redis://:hunter2@",
    "redis://:hunter2@host:port",
    "redis://:hunter2@host:0",
    "redis://:hunter2@host:99999",
    "redis://:hunter2@a,b/0",
    f"redis://:hunter2@{'a' * 64}/0",
    "redis://:hunter2@host/name",
    "redis://:hunter2@host/0?db=1",
    "redis://:hunter2@host/0?colour=hunter2",
    "redis://:hunter2@host/0?ssl_ca_certs=x",
    "redis://:hunter2@host/0?max_connections=hunter2",
    "redis://:hunter2@host/0?max_connections=0",
    "redis://:hunter2#@host/0",
    "redis://:hunter2@[host/0",
    "rediss://:hunter2@host/0?ssl_cert_reqs=hunter2",
    "rediss://:hunter2@host/0?ssl_check_hostname=hunter2",
    "unix://:hunter2@host/run/redis.sock",
    "unix://:hunter2@",
    "redis+sentinel://:hunter2@host",
    "redis+sentinel://:hunter2@host/service/name",
    "redis+sentinel://:hunter2@a,,b/service",
    "redis+cluster://:hunter2@a,b/1",
    "redis+cluster://:hunter2@a?db=1",
    "redis+udp://:hunter2@host",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_refused_at_start_up_and_never_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        store_for(Settings(auth_token=TOKEN, keys=KEY, store=url))
    message = str(caught.value)
    assert "CONVOSTATE_STORE=" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("char", "/?#[]")
@pytest.mark.parametrize(
    "form",
    ["redis://:hun{}ter2@host:1/0", "redis://user:12{}ter2@host", "rediss://:hun{}ter@2@host/0",
     "unix://:hun{}ter2@/run/redis.sock", "redis+sentinel://:hun{}ter2@host/service",
     "redis+cluster://:hun{}ter2@a,b"],
)  # fmt: skip
def test_the_error_of_a_password_that_breaks_the_url_says_how_to_write_it(
    form: str, char: str
) -> None:
    with pytest.raises(UsageError, match="to be written %2F %3F %23 %5B %5D") as caught:
        client_maker(form.format(char))
    assert "ter2" not in str(caught.value)
    assert callable(client_maker(form.format(f"%{ord(char):02X}")))


def test_what_breaks_a_url_elsewhere_is_not_taken_for_a_password() -> None:
    assert made("unix:///run/a:b@c.sock")["path"] == "/run/a:b@c.sock"
    with pytest.raises(UsageError, match="an option that is not known"):
        client_maker("rediss://host?ssl_c_certs=/a@b")


def test_the_middleware_makes_the_store_that_its_settings_name_without_connecting() -> None:
    settings = Settings(auth_token=TOKEN, keys=KEY, store="redis://:hunter2@nowhere.invalid/0")
    middleware = ConversationMiddleware(lambda *_: [], settings)
    assert isinstance(middleware.store, RedisStore)
    assert "hunter2" not in repr(middleware.store) + repr(middleware) + repr(settings)


def test_redis_store_takes_a_client_only() -> None:
    with pytest.raises(UsageError, match="from_url"):
        RedisStore("redis://localhost")  # type: ignore[arg-type]


WITHOUT_REDIS = f"""
import sys
sys.modules["redis"] = None
from convostate.stores import store_for
from convostate import Settings, UsageError
try:
    store_for(Settings(auth_token="{TOKEN}", keys="{KEY}", store="redis://:hunter2@localhost/0"))
except UsageError as error:
    print(error)
"""


def test_without_the_extra_the_error_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_REDIS], capture_output=True, text=True, check=True
    )
    assert 'pip install "convostate[redis]"' in ran.stdout
    assert "hunter2" not in ran.stdout
