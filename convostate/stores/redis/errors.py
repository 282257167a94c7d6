"""Faults of a Redis as StoreErrors that tell the operator what to do.

A message contains the server's error code if it is known, but never its text, which can hold key names, user
names and arguments.
"""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

from redis import exceptions

from convostate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS: tuple[type[Exception], ...] = (
    exceptions.RedisError,
    exceptions.RedisClusterException,  # not a RedisError
    OSError,
)
"""All that redis-py raises on purpose, and the errors of its sockets."""

TIMEOUTS: tuple[type[Exception], ...] = (exceptions.TimeoutError, TimeoutError)

ELSEWHERE = frozenset({"READONLY", "MASTERDOWN", "UNBLOCKED"})
"""Codes of a server that is not the master: another connection may find it."""


class DesyncError(exceptions.ConnectionError):
    """A reply without the nonce of its command: the connection is out of sync."""


class ExhaustedError(exceptions.ConnectionError):
    """The client's `max_connections` are in use."""


class StaleError(exceptions.ConnectionError):
    """A connection that was idle does not answer: a firewall may have forgotten it."""


class OneNodeError(exceptions.ResponseError):
    """A server that was configured as a single one redirects to another: it is a node of a Cluster."""


_SETTING = "the Redis in CONVOSTATE_STORE"

_ADVICE = {
    "connection": "cannot be reached. Check that it runs, and its address",
    "closed": "closes the connection. If its port speaks TLS, write rediss://… (Sentinel and Cluster: ?ssl=true); otherwise look at its log",
    "tls": "does not complete the TLS handshake. If its port is a plain one, write redis://… (Sentinel and Cluster: without ssl=true); "
    "if it asks for a certificate, name ssl_certfile and ssl_keyfile",
    "certificate": "presented a certificate that has expired, is for a different host, or has an unknown issuer. Renew it, write the host as the "
    "certificate has it, or name the issuer's certificate in ssl_ca_certs",
    "file": "cannot be reached, because a file does not exist or cannot be used. Check the socket's path and who may open it, the files in "
    "ssl_ca_certs, ssl_certfile and ssl_keyfile, or, if it is at a host and port, SELinux and the local firewall",
    "database": "has no database of that number. Write a lower one, or raise `databases` in its configuration",
    "timeout": "did not answer within 0.5 s. Check its load, its slow log and the network",
    "desync": "sent a reply to a different command; the connection is out of sync. Check what is between it and this process",
    "exhausted": "has lent all the connections that its client may have. Raise max_connections",
    "node": "is one node of a Cluster and holds only some of the conversations. Set CONVOSTATE_STORE=redis+cluster://host:6379",
    "NOAUTH": "asks for a password. Write it into the URL: redis://:password@host:6379/0",
    "WRONGPASS": "refuses the user name or the password. Correct them, and percent-encode everything but letters and digits (% is %25)",
    "passwordless": "has no password. Leave it out of the URL, or set one on the server",
    "NOPERM": "does not let its user run a command that is needed. Grant the rights that the documentation lists on its page Redis",
    "READONLY": "is a replica. Name the master, or use redis+sentinel://…",
    "MASTERDOWN": "is a replica without its master. Name the master, or use redis+sentinel://…",
    "UNBLOCKED": "has become a replica. Name the master, or use redis+sentinel://…",
    "OOM": "is out of memory. Raise its maxmemory",
    "BUSY": "is running a script that does not end. End it with SCRIPT KILL, and give convostate a Redis of its own",
    "LOADING": "is still loading its data. Wait, or look at its log",
    "CLUSTERDOWN": "is a cluster that does not cover all slots. Bring its masters back",
    "TRYAGAIN": "is moving the conversation's slot. Wait until the resharding is over",
    "WRONGTYPE": "holds a key of another type under a name of ours, cs1:…. Delete it, and give convostate a database of its own",
    "MISCONF": "refuses writes because it cannot save to disk. Free its disk, or look at its log",
    "NOREPLICAS": "refuses writes because too few replicas are connected. Bring them back",
    "MAXCLIENTS": "has no connection left. Raise its maxclients",
    "UNKNOWN": "lacks a command that is needed. Use Redis 6.2 or newer, or Valkey, without rename-command in its configuration",
    "scripts": "does not run scripts: it is a Sentinel, too old, or EVAL or EVALSHA is renamed. Write redis+sentinel://… for a Sentinel; otherwise use "
    "Redis 6.2 or newer, or Valkey, without rename-command in its configuration",
    "MASTERS": "has no master that its sentinels know of. Check the sentinels, their password (sentinel_password), ssl=true, and the service's name",
    "sentinel": "is not a Sentinel. Name the sentinels, usually at port 26379, or use redis://…",
    "CLUSTER": "does not answer as a cluster. Use redis://… for a single server, and check the addresses",
}

_BY_CLASS: tuple[tuple[type[BaseException], str], ...] = (
    (DesyncError, "desync"),
    (ExhaustedError, "exhausted"),
    (OneNodeError, "node"),
    (exceptions.AuthorizationError, "NOPERM"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.SlotNotCoveredError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.AskError, "TRYAGAIN"),
    # Raised by a socket; redis-py wraps all of them into one class.
    (ssl.SSLCertVerificationError, "certificate"),
    (ssl.SSLError, "tls"),
    (FileNotFoundError, "file"),
    (PermissionError, "file"),
    (IsADirectoryError, "file"),
    (ConnectionRefusedError, "connection"),
    (socket.gaierror, "connection"),
    (ConnectionError, "closed"),
)
_BY_TEXT = (
    # The first ones would also be matched by later patterns.
    (re.compile(r"unknown command [`']SENTINEL\b", re.IGNORECASE), "sentinel"),
    (re.compile(r"without any password configured"), "passwordless"),
    (re.compile(r"unauthenticated|Authentication required"), "NOAUTH"),
    (re.compile(r"DB index is out of range|SELECT is not allowed"), "database"),
    (re.compile(r"No master found"), "MASTERS"),
    (re.compile(r"user executing the script can't|no permissions"), "NOPERM"),
    (re.compile(r"max number of clients"), "MAXCLIENTS"),
    (re.compile(r"unknown command [`']EVAL", re.IGNORECASE), "scripts"),
    (re.compile(r"unknown command|Unknown Redis command"), "UNKNOWN"),
    (re.compile(r"handshake"), "tls"),
    (re.compile(r"closed by server"), "closed"),
)
_NAMED = re.compile(
    r"\b(OOM|READONLY|WRONGTYPE|NOPERM|NOAUTH|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY|UNBLOCKED|TRYAGAIN)\b"
)


def may_do_elsewhere(error: Exception) -> bool:
    """Whether another connection may succeed: this one broke, or leads to the wrong server."""
    if isinstance(error, exceptions.ResponseError):
        return isinstance(error, exceptions.AskError) or code_of(error) in ELSEWHERE
    return not isinstance(error, (*TIMEOUTS, exceptions.AuthenticationError, ExhaustedError))


def code_of(error: Exception) -> str:
    """The code of a fault: Redis's own if it has one, or one of ours in lower case.

    Redis 6.2 wraps the error of a script's command into ``ERR Error running script``, so if the class does
    not say, the text is searched.
    """
    causes = list(_causes(error))
    found = next(filter(None, map(_code_in, causes)), None)
    if found is not None:
        return found
    if any(isinstance(cause, exceptions.AuthenticationError) for cause in causes):
        return "WRONGPASS"
    if any(isinstance(cause, TIMEOUTS) for cause in causes):
        return "timeout"
    if isinstance(error, exceptions.ResponseError):
        return "ERR"
    return "CLUSTER" if isinstance(error, exceptions.RedisClusterException) else "connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, then the errors that redis-py's Cluster or connection wrapped into it.

    Errors of sockets are wrapped without ``from``. Any other context belongs to the caller.
    """
    yield error
    cause, context = error.__cause__, error.__context__
    wraps = type(error) in (exceptions.ConnectionError, exceptions.TimeoutError)
    if cause is None and wraps and isinstance(context, OSError):
        cause = context
    if cause is not None:
        yield from _causes(cause)


def _code_in(cause: BaseException) -> str | None:
    if isinstance(cause, ssl.SSLError) and re.search("X509|PEM", str(cause)):
        return "file"  # it was read, and is not a certificate or a key
    for kind, code in _BY_CLASS:
        if isinstance(cause, kind):
            return code
    text = str(cause)
    for pattern, code in _BY_TEXT:
        if pattern.search(text):
            return code
    named = _NAMED.search(text)
    return None if named is None else named[1]


def store_error(error: Exception) -> StoreError:
    """The error to raise: ``down``, with the setting and what to do."""
    code = code_of(error)
    advice = _ADVICE.get(code, "answered with an error. Look at its log")
    name = f" ({code})" if code.isupper() and code.isalpha() else ""
    return StoreError("down", f"{_SETTING} {advice}{name}")
