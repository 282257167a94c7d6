"""How the value of each setting is read: in its Python type, or as the string its variable would hold.

Every reader takes the variable's name and the value, and raises a `UsageError` that shows neither a
secret nor the value, and ends with what to set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from convostate.errors import UsageError
from convostate.sealing.keys import Keyring
from convostate.twilio.signature import url_variants

_ACCOUNT = re.compile("AC[0-9a-f]{32}")  # https://www.twilio.com/docs/glossary/what-is-a-sid
# What divides lists elsewhere, quotes, escapes, the rest of a URL, and placeholders of frameworks' routes.
_no_path = re.compile(r"""[;|#%"'<>{}\\]|:/|\?[^/*]*=""")
# Of deployment files whose variables nobody filled in, and the SID that stands above the token in the console.
_no_token = re.compile(r"\$\{.*\}|\$\(.*\)|<.*>|None|null|AC[0-9a-f]{32}").fullmatch
SERVER_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")


def _wrong(variable: str, why: str, advice: str) -> UsageError:
    return UsageError(f"{variable} {why}. Set {variable}={advice}")


def _text(variable: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _wrong(variable, "is empty or not a printable text", "<text>")
    return value


def _token(variable: str, value: Any) -> str:
    token = _text(variable, value)
    if "," in token:
        raise UsageError(
            f"{variable} holds a comma, and it takes exactly one token. Set the others with CONVOSTATE_AUTH_TOKENS=<token>,<token>"
        )
    if not token.isascii() or set(token) & set(" =\"'"):
        raise _wrong(variable, "holds a character that no token has", "<token>")
    if _no_token(token):
        raise _wrong(variable, "holds a placeholder or an account SID", "<token>")
    return token


def _list(variable: str, value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (tuple, list)):
        raise _wrong(variable, "is not a list", "<item>,<item>")
    items = tuple(part.strip() if isinstance(part, str) else part for part in parts)
    if not all(isinstance(item, str) and item for item in items) or not items:
        raise _wrong(variable, "has an empty item", "<item>,<item>")
    return items


def _tokens(variable: str, value: Any) -> tuple[str, ...]:
    return tuple(_token(variable, item) for item in _list(variable, value))


def _named(variable: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            (_text(variable, name), secret)
            for name, listed in value.items()
            for secret in ([listed] if isinstance(listed, str) else _list(variable, listed))
        ]
    pairs = [item.partition("=") for item in _list(variable, value)]
    if not all(equals and name.strip() and secret.strip() for name, equals, secret in pairs):
        raise _wrong(variable, "is not a list of name=secret", "<name>=<secret>,<name>=<secret>")
    return [(name.strip(), secret.strip()) for name, _, secret in pairs]


def _account_tokens(variable: str, value: Any) -> dict[str, tuple[str, ...]]:
    accounts: dict[str, tuple[str, ...]] = {}
    for account, token in _named(variable, value):
        if not _ACCOUNT.fullmatch(account):
            raise _wrong(
                variable,
                "names something that is no account SID",
                "AC<32 hexadecimal digits>=<token>",
            )
        accounts[account] = (*accounts.get(account, ()), _token(variable, token))
    return accounts


def _shared_keys(variable: str, value: Any) -> dict[str, str]:
    named = _named(variable, value)
    if len({key_id for key_id, _ in named}) != len(named):
        raise _wrong(variable, "names a key id twice", "<key_id>=<secret>,<key_id>=<secret>")
    return {_token(variable, key_id): _text(variable, secret) for key_id, secret in named}


def _account(variable: str, value: Any) -> str:
    account = _text(variable, value)
    if not _ACCOUNT.fullmatch(account):
        raise _wrong(variable, "is no account SID", "AC<32 hexadecimal digits>")
    return account


def _keyring(variable: str, value: Any) -> Keyring:
    if isinstance(value, Keyring):
        return value
    if not isinstance(value, (str, list, tuple)):
        raise UsageError(f"{variable} is no key. Make one with: convostate keygen")
    try:
        return Keyring.parse(value if isinstance(value, str) else ",".join(_list(variable, value)))
    except UsageError as error:
        raise UsageError(f"{variable}: {error}") from None


def _store(variable: str, value: Any) -> str:
    store = _text(variable, value)
    scheme, colon, rest = store.partition("://")
    if store in ("cookie", "memory") or (scheme in SERVER_SCHEMES and colon and rest):
        return store
    known = ", ".join(f"{name}://…" for name in SERVER_SCHEMES)
    raise UsageError(
        f"{variable} is none of cookie, memory, {known}. Set {variable}=redis://localhost:6379/0"
    )


def _public_url(variable: str, value: Any) -> str:
    url = _text(variable, value).rstrip("/")
    if "?" in url or "#" in url or not url_variants(f"{url}/"):  # it would never verify a request
        raise _wrong(
            variable,
            "is not an origin with an optional prefix",
            "https://example.com, scheme and host as Twilio was given them",
        )
    return url


def _paths(variable: str, value: Any) -> tuple[str, ...]:
    patterns = _list(variable, value)
    if not all(pattern.startswith(("/", "*")) for pattern in patterns):  # would guard nothing
        raise _wrong(variable, "has a pattern that begins with neither / nor *", "/sms,/voice/*")
    if any(char.isspace() for pattern in patterns for char in pattern):  # so would this
        raise _wrong(variable, "has a pattern with a blank; commas divide them", "/sms,/voice/*")
    if any(_no_path.search(each) or not each.isprintable() for each in patterns):  # and these
        raise _wrong(
            variable,
            "has a pattern with what no path holds; commas divide them, * stands for any part, and "
            "queries, fragments and escapes are left out",
            "/sms,/voice/*",
        )
    if any(pattern.count("[") != pattern.count("]") for pattern in patterns):
        raise _wrong(variable, "has a pattern whose [ is not closed", "/sms,/voice/[0-9]*")
    return patterns


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _lifetime(variable: str, value: Any) -> timedelta:
    if isinstance(value, timedelta):
        if value % timedelta(seconds=1):
            raise _wrong(variable, "is not a whole number of seconds", "4h")
        return value
    match = re.fullmatch(r"([0-9]{1,7})\s*([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise _wrong(variable, "is not a number of s, m, h or d", "4h")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _cookie_name(variable: str, value: Any) -> str:
    name = _text(variable, value)
    # RFC 6265 §4.1.1 takes any token; these names need no thought from any parser.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise _wrong(
            variable, "is not 1 to 64 letters, digits, dots, dashes and underscores", "convostate"
        )
    return name


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def read(variable: str, value: Any) -> str:
        if value not in allowed:
            raise _wrong(variable, f"is none of {', '.join(allowed)}", allowed[0])
        return str(value)

    return read


def _number(least: int, most: int, advice: str) -> Callable[[str, Any], int]:
    def read(variable: str, value: Any) -> int:
        number = (
            int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
        )
        if type(number) is not int or not least <= number <= most:
            raise _wrong(variable, f"is not a whole number from {least} to {most}", advice)
        return number

    return read


READERS: dict[str, Callable[[str, Any], Any]] = {
    "auth_token": _token,
    "auth_tokens": _tokens,
    "account_tokens": _account_tokens,
    "shared_keys": _shared_keys,
    "account_sid": _account,
    "keys": _keyring,
    "index_key": _keyring,
    "store": _store,
    "public_url": _public_url,
    "paths": _paths,
    "lifetime": _lifetime,
    "cookie_name": _cookie_name,
    "on_outage": _one_of("refuse", "empty"),
    "on_opt_out": _one_of("end", "keep"),
    "max_waiting": _number(0, 1000, "8"),
    "max_body_bytes": _number(1024, 16 * 1024 * 1024, "262144"),
}


def check_names(given: Iterable[str]) -> None:
    """Refuse names that no setting has.

    Raises:
        UsageError: One of them is none; the message tells the nearest.
    """
    for name in given:
        if name not in READERS:
            near = get_close_matches(name, READERS, n=1)
            advice = f"Write {near[0]}" if near else f"Use one of: {', '.join(READERS)}"
            raise UsageError(f"There is no setting {name}. {advice}")
