"""The URLs of CONVOSTATE_STORE that name a Redis, a Sentinel's service or a Cluster.

    redis://[user:password@]host[:6379][/0]            rediss://… with TLS
    unix://[user:password@]/path/to/redis.sock[?db=0]
    redis+sentinel://[user:password@]host[:26379],…/service[/0]
    redis+cluster://[user:password@]host[:6379],…

User and password are the server's, percent-encoded; those of the sentinels, where they differ, are
``?sentinel_username=…&sentinel_password=…``. Further options, all but the last two for TLS:
``ssl=true`` (Sentinel and Cluster), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``,
``ssl_cert_reqs`` (``required``, ``optional``, ``none``), ``ssl_check_hostname``, ``max_connections``, ``db``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from convostate.errors import UsageError
from convostate.stores.redis.connection import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

    from convostate.stores.redis.route import Client

# Twice the threads that a server is likely to run: a turn holds one connection, waiting included.
MAX_CONNECTIONS = 200

_FORMS = {
    "redis": "redis://localhost:6379/0",
    "rediss": "rediss://localhost:6379/0",
    "unix": "unix:///run/redis/redis.sock",
    "redis+sentinel": "redis+sentinel://host1:26379,host2:26379/service",
    "redis+cluster": "redis+cluster://host1:6379,host2:6379",
}
# A password has a character that ends the part of the URL in which users and hosts stand.
_ENDS_TOO_SOON = re.compile(r"[^@/?#\[\]]*:[^@]*[/?#\[\]].*@", re.DOTALL)
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def client_maker(url: str) -> Callable[[], Client]:
    """Read a URL, without connecting.

    Returns:
        What makes the client; it may connect.

    Raises:
        UsageError: The URL is wrong; the message never shows it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _FORMS:
        raise _wrong("redis", "is not the URL of a Redis")
    try:
        return _read(scheme, url)
    except (UsageError, ValueError) as error:
        if _ENDS_TOO_SOON.match(rest):
            why = "has one of /?#[] in its user name or password, to be written %2F %3F %23 %5B %5D"
            raise _wrong(scheme, why) from None
        if isinstance(error, UsageError):
            raise
        raise _wrong(scheme, "is not a URL") from None


def _read(scheme: str, url: str) -> Callable[[], Client]:
    parts = urlsplit(url)
    options = _options(scheme, parts)
    user, password = parts.username, parts.password
    if parts.fragment:
        raise _wrong(scheme, "has a # in it")
    sentinels = {
        name: options.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    if user:
        options["username"] = unquote(user)
    if password:
        options["password"] = unquote(password)
    options |= {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S, "protocol": 2}
    options["retry"] = Retry(NoBackoff(), 0)
    return _MAKERS[scheme](parts, options, sentinels)


def _single(parts: SplitResult, options: dict[str, Any], _: object) -> Callable[[], Client]:
    hosts = _hosts(parts, 6379)
    if len(hosts) != 1:
        raise _wrong(parts.scheme, "names several hosts")
    options["host"], options["port"] = hosts[0]
    options["ssl"] = parts.scheme == "rediss"
    options["db"] = _database(parts.scheme, parts.path.strip("/"), options)
    return lambda: Redis(**options)


def _socket(parts: SplitResult, options: dict[str, Any], _: object) -> Callable[[], Client]:
    path = unquote(parts.path)
    if not path or parts.netloc.rpartition("@")[2]:
        raise _wrong("unix", "names no socket")
    options["db"] = _database("unix", "", options)
    return lambda: Redis(unix_socket_path=path, **options)


def _sentinel(
    parts: SplitResult, options: dict[str, Any], sentinels: dict[str, Any]
) -> Callable[[], Client]:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise _wrong(parts.scheme, "names no service")
    options["db"] = _database(parts.scheme, database, options)
    own = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl"))}
    own |= {"protocol": 2, "retry": options["retry"]} | sentinels
    hosts = _hosts(parts, 26379)
    return lambda: Sentinel(hosts, sentinel_kwargs=own).master_for(unquote(service), **options)


def _cluster(parts: SplitResult, options: dict[str, Any], _: object) -> Callable[[], Client]:
    if parts.path.strip("/") or "db" in options:
        raise _wrong(parts.scheme, "names a database, and a Cluster has only one")
    hosts = _hosts(parts, 6379)
    # Without full coverage the conversations of the slots that are left go on.
    options["require_full_coverage"] = False
    return lambda: RedisCluster(startup_nodes=[ClusterNode(*host) for host in hosts], **options)


_MAKERS: dict[
    str, Callable[[SplitResult, dict[str, Any], dict[str, Any]], Callable[[], Client]]
] = {
    "redis": _single,
    "rediss": _single,
    "unix": _socket,
    "redis+sentinel": _sentinel,
    "redis+cluster": _cluster,
}


def _hosts(parts: SplitResult, port: int) -> list[tuple[str, int]]:
    hosts = []
    for item in parts.netloc.rpartition("@")[2].split(","):
        try:
            one = urlsplit(f"//{item}")
            host, found = one.hostname, one.port
            (host or "").encode("idna")  # what the socket would do, too late
        except ValueError:
            host = None
        if not host or found == 0:
            raise _wrong(parts.scheme, "has a host or port that is none")
        hosts.append((unquote(host), found or port))
    return hosts


def _database(scheme: str, path: str, options: dict[str, Any]) -> int:
    text = path or options.pop("db", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 6) or (path and "db" in options):
        raise _wrong(scheme, "has a database that is no number")
    return int(text)


def _options(scheme: str, parts: SplitResult) -> dict[str, Any]:
    options: dict[str, Any] = {"max_connections": MAX_CONNECTIONS}
    # Before Python 3.11 no query at all is a bad one.
    given = parts.query and parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    for name, value in given or ():
        if name not in _allowed(scheme):
            raise _wrong(
                scheme, "has an option that is not known. See the page Redis of the documentation"
            )
        if name in ("ssl", "ssl_check_hostname"):
            if value.lower() not in _TRUTH:
                raise _wrong(scheme, f"has {name} neither true nor false")
            options[name] = _TRUTH[value.lower()]
        elif name == "max_connections":
            if not (value.isascii() and value.isdigit() and 0 < int(value) < 100_000):
                raise _wrong(scheme, "has max_connections that is no number from 1 to 99999")
            options[name] = int(value)
        elif name == "ssl_cert_reqs" and value not in ("required", "optional", "none"):
            raise _wrong(scheme, "has ssl_cert_reqs none of required, optional and none")
        else:
            options[name] = value
    if options.get("ssl_cert_reqs") == "none":
        options.setdefault("ssl_check_hostname", False)  # there is no certificate to find it in
    return options


def _allowed(scheme: str) -> frozenset[str]:
    names = {"max_connections", "db"}
    if scheme in ("rediss", "redis+sentinel", "redis+cluster"):
        names |= {
            "ssl_ca_certs",
            "ssl_certfile",
            "ssl_keyfile",
            "ssl_cert_reqs",
            "ssl_check_hostname",
        }
    if scheme in ("redis+sentinel", "redis+cluster"):
        names.add("ssl")
    if scheme == "redis+sentinel":
        names |= {"sentinel_username", "sentinel_password"}
    return frozenset(names)


def _wrong(scheme: str, why: str) -> UsageError:
    return UsageError(f"CONVOSTATE_STORE {why}. Set CONVOSTATE_STORE={_FORMS[scheme]}")
