"""The URLs of CONVOSTATE_STORE that name a Redis, a Sentinel's service or a Cluster.

    redis://[user:password@]host[:6379][/0]            rediss://… with TLS
    unix://[user:password@]/path/to/redis.sock[?db=0]
    redis+sentinel://[user:password@]host[:26379],…/service[/0]
    redis+cluster://[user:password@]host[:6379],…

User and password are the server's, percent-encoded; those of the sentinels, if they differ, are
``?sentinel_username=…&sentinel_password=…``. Further options: ``db``; ``max_connections``;
``socket_keepalive=false`` (by default TCP probes a connection that is idle for 30 s); for TLS
``ssl=true`` (Sentinel and Cluster), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``,
``ssl_cert_reqs`` (``required``, ``optional``, ``none``), ``ssl_check_hostname``.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.backoff import NoBackoff

from convostate.errors import UsageError
from convostate.stores.redis.client import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

# Twice the threads that a server is likely to run: a turn holds one connection, waiting included.
MAX_CONNECTIONS = 200

_FORMS = {
    "redis": "redis://localhost:6379/0",
    "rediss": "rediss://localhost:6379/0",
    "unix": "unix:///run/redis/redis.sock",
    "redis+sentinel": "redis+sentinel://host1:26379,host2:26379/service",
    "redis+cluster": "redis+cluster://host1:6379,host2:6379",
}
# A password has a character that ends the part of the URL that holds users and hosts.
_ENDS_TOO_SOON = re.compile(r"[^@/?#\[\]]*:[^@]*[/?#\[\]].*@", re.DOTALL)
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
_ALL = ("max_connections", "db")
_OPTIONS = {
    "redis": (*_ALL, "socket_keepalive"),
    "rediss": (*_ALL, "socket_keepalive", *_TLS),
    "unix": _ALL,
    "redis+sentinel": (
        *_ALL, "socket_keepalive", "ssl", *_TLS, "sentinel_username", "sentinel_password",
    ),
    "redis+cluster": (*_ALL, "socket_keepalive", "ssl", *_TLS),
}  # fmt: skip


def client_maker(url: str, *, asyncio: bool = False) -> Callable[[], Any]:
    """Read a URL, without connecting.

    Args:
        url: As CONVOSTATE_STORE takes it.
        asyncio: The client is to be one of ``redis.asyncio``.

    Returns:
        What makes the client of redis-py; it may connect.

    Raises:
        UsageError: The URL is wrong; the message never shows it.
    """
    scheme, _, rest = url.partition("://")
    try:
        return _read(scheme, url, import_module("redis.asyncio" if asyncio else "redis"))
    except (UsageError, ValueError) as error:
        why = str(error) if isinstance(error, UsageError) else "is not a URL"
        if scheme in _FORMS and _ENDS_TOO_SOON.match(rest):
            why = "has one of /?#[] in its user name or password, to be written %2F %3F %23 %5B %5D"
        form = _FORMS.get(scheme, _FORMS["redis"])
        raise UsageError(f"CONVOSTATE_STORE {why}. Set CONVOSTATE_STORE={form}") from None


def _read(scheme: str, url: str, redis: Any) -> Callable[[], Any]:
    """As `client_maker`; the message of its UsageError says only what is wrong."""
    if scheme not in _FORMS:
        raise UsageError("is not the URL of a Redis")
    parts = urlsplit(url)
    options = _options(_OPTIONS[scheme], parts.query)
    if parts.fragment:
        raise UsageError("has a # in it")
    sentinels = {
        name.removeprefix("sentinel_"): options.pop(name)
        for name in ("sentinel_username", "sentinel_password")
        if name in options
    }
    who = {"username": parts.username, "password": parts.password}
    options |= {name: unquote(value) for name, value in who.items() if value}
    retry = import_module(f"{redis.__name__}.retry").Retry(NoBackoff(), 0)
    common = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    common |= {"protocol": 2, "retry": retry}
    options |= common
    path = parts.path.strip("/")
    if scheme == "unix":
        if not path or parts.netloc.rpartition("@")[2]:
            raise UsageError("does not name a socket")
        options["db"] = _database("", options)
        return lambda: redis.Redis(unix_socket_path=unquote(parts.path), **options)
    if scheme == "redis+sentinel":
        hosts = _hosts(parts.netloc, 26379)
        service, _, database = path.partition("/")
        if not service:
            raise UsageError("does not name a service")
        options["db"] = _database(database, options)
        own = common | {k: v for k, v in options.items() if k.startswith("ssl")} | sentinels
        return lambda: redis.Sentinel(hosts, sentinel_kwargs=own).master_for(
            unquote(service), **options
        )
    hosts = _hosts(parts.netloc, 6379)
    if scheme == "redis+cluster":
        if path or "db" in options:
            raise UsageError("names a database, and a Cluster has only one")
        node = import_module(f"{redis.__name__}.cluster").ClusterNode
        # Without full coverage the conversations of the slots that are left go on.
        options["require_full_coverage"] = False
        return lambda: redis.RedisCluster(startup_nodes=[node(*host) for host in hosts], **options)
    if len(hosts) != 1:
        raise UsageError("names several hosts")
    options |= {"host": hosts[0][0], "port": hosts[0][1], "ssl": scheme == "rediss"}
    options["db"] = _database(path, options)
    return lambda: redis.Redis(**options)


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    hosts = []
    for item in netloc.rpartition("@")[2].split(","):
        try:
            one = urlsplit(f"//{item}")
            host, found = one.hostname, one.port
            (host or "").encode("idna")  # what the socket would do, too late
        except ValueError:
            host = None
        if not host or found == 0:
            raise UsageError("has an invalid host or port")
        hosts.append((unquote(host), found or port))
    return hosts


def _database(path: str, options: dict[str, Any]) -> int:
    text = path or options.pop("db", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 6) or (path and "db" in options):
        raise UsageError("has a database that is not a number")
    return int(text)


def _options(known: tuple[str, ...], query: str) -> dict[str, Any]:
    options: dict[str, Any] = {"max_connections": MAX_CONNECTIONS}
    # Before Python 3.11 no query at all is a bad one.
    given = query and parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    for name, value in given or ():
        if name not in known:
            raise UsageError(
                "has an option that is not known. See the page Redis of the documentation"
            )
        if name in ("ssl", "ssl_check_hostname", "socket_keepalive"):
            if value.lower() not in _TRUTH:
                raise UsageError(f"has {name} that is neither true nor false")
            options[name] = _TRUTH[value.lower()]
        elif name == "max_connections":
            if not (value.isascii() and value.isdigit() and 0 < int(value) < 100_000):
                raise UsageError("has max_connections that is not a number from 1 to 99999")
            options[name] = int(value)
        elif name == "ssl_cert_reqs" and value not in ("required", "optional", "none"):
            raise UsageError("has ssl_cert_reqs that is not one of required, optional and none")
        else:
            options[name] = value
    if options.get("ssl_cert_reqs") == "none":
        options.setdefault("ssl_check_hostname", False)  # there is no certificate to find it in
    return options
