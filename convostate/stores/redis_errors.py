"""What goes wrong at a Redis, as a StoreError that tells its operator what to do.

Nothing of the server's own text goes into the message, only its code where that is known: texts of
Redis can hold key names, user names and arguments.
"""

from __future__ import annotations

import re

from redis import exceptions

from convostate.errors import StoreError

FAULTS: tuple[type[Exception], ...] = (
    exceptions.RedisError,
    exceptions.RedisClusterException,  # not a RedisError
    OSError,
)
"""All that redis-py raises on purpose, and what its sockets do."""

TIMEOUTS: tuple[type[Exception], ...] = (exceptions.TimeoutError, TimeoutError)

ELSEWHERE = frozenset({"READONLY", "MASTERDOWN", "UNBLOCKED"})
"""Codes of a server that is not, or no longer, the master: another connection may find the new one."""

_SETTING = "the Redis in CONVOSTATE_STORE"

_ADVICE = {
    "connection": "cannot be reached, or closed the connection. Check that it runs, and its address",
    "timeout": "gave no answer within 0.5 s. Check its load, its slow log and the network",
    "desync": "answered another question than was asked. Check what stands between it and this process",
    "exhausted": "has lent all the connections that its client may have. Raise max_connections",
    "WRONGPASS": "refuses the user name or the password. Correct them",
    "NOPERM": "does not let its user run a command that is needed. Grant what the README lists under Redis",
    "READONLY": "is a replica. Name the master, or use redis+sentinel://…",
    "MASTERDOWN": "is a replica without its master. Name the master, or use redis+sentinel://…",
    "UNBLOCKED": "has become a replica. Name the master, or use redis+sentinel://…",
    "OOM": "is out of memory. Raise its maxmemory",
    "BUSY": "is running someone's script. End it with SCRIPT KILL, and give convostate a Redis of its own",
    "LOADING": "is still loading its data. Wait, or look at its log",
    "CLUSTERDOWN": "is a cluster that does not cover all slots. Bring its masters back",
    "TRYAGAIN": "is moving the conversation's slot. Wait until the resharding is over",
    "WRONGTYPE": "holds a key of another type under a name of ours, cs1:…. Delete it, and give convostate a database of its own",
    "MISCONF": "refuses writes because it cannot save to disk. Free its disk, or look at its log",
    "NOREPLICAS": "refuses writes because too few replicas are connected. Bring them back",
    "MAXCLIENTS": "has no connection left. Raise its maxclients",
    "UNKNOWN": "lacks a command that is needed. Use Redis 6.2 or newer, or Valkey",
    "MASTERS": "has no master that its sentinels know of. Check the sentinels and the service's name",
    "CLUSTER": "does not answer as a cluster. Use redis://… for a single server, and check the addresses",
}

_BY_CLASS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.AuthenticationError, "WRONGPASS"),
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
    (exceptions.TimeoutError, "timeout"),
    (TimeoutError, "timeout"),
)

_BY_TEXT = re.compile(
    r"\b(OOM|READONLY|WRONGTYPE|NOPERM|NOAUTH|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|LOADING|BUSY|UNBLOCKED|TRYAGAIN)\b"
    r"|(user executing the script can't|no permissions)|(max number of clients)|(unknown command|Unknown Redis command)"
    r"|(No master found)|(unauthenticated)"
)
_OTHER_NAMES = ("NOPERM", "MAXCLIENTS", "UNKNOWN", "MASTERS", "WRONGPASS")


class DesyncError(exceptions.ConnectionError):
    """A reply that does not echo its question's nonce: the connection is out of step."""


class ExhaustedError(exceptions.ConnectionError):
    """The client's `max_connections` are in use."""


def may_do_elsewhere(error: Exception) -> bool:
    """Whether another connection may do better: this one broke, or leads to the wrong server."""
    if isinstance(error, exceptions.ResponseError):
        return isinstance(error, exceptions.AskError) or code_of(error) in ELSEWHERE
    return not isinstance(error, (*TIMEOUTS, exceptions.AuthenticationError, ExhaustedError))


def code_of(error: Exception) -> str:
    """The code of a fault: Redis's own where it has one, else one of ours in small letters.

    Redis 6.2 wraps what a script's command was answered into ``ERR Error running script``, so the text
    is searched where the class does not tell.
    """
    if isinstance(error, DesyncError):
        return "desync"
    if isinstance(error, ExhaustedError):
        return "exhausted"
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    found = _BY_TEXT.search(str(error))
    if found is not None:
        code = found[1] or _OTHER_NAMES[(found.lastindex or 2) - 2]
        return "WRONGPASS" if code == "NOAUTH" else code
    if isinstance(error, exceptions.ResponseError):
        return "ERR"
    return "CLUSTER" if isinstance(error, exceptions.RedisClusterException) else "connection"


def store_error(error: Exception) -> StoreError:
    """The error to raise: ``down``, with the setting and what to do."""
    code = code_of(error)
    advice = _ADVICE.get(code, "answered with an error. Look at its log")
    name = f" ({code})" if code.isupper() and code.isalpha() else ""
    return StoreError("down", f"{_SETTING} {advice}{name}")
