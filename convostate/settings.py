"""Settings: each is declared once, in `Settings`; there is no other list of them.

A declaration has the field's types, the environment variable, the reader, the default, whether the value
is secret, and the help. The fields, `Settings.from_environ`, the errors, what `repr` hides, the table in the
documentation and `convostate doctor` are derived from it. Only this module reads the environment.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

from convostate.errors import UsageError
from convostate.sealing.keys import WHICH_KEY, Keyring
from convostate.twilio.signature import Secrets, url_variants

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    Texts = str | list[str] | tuple[str, ...]
else:

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        """Nothing at run time; in typing since Python 3.11."""
        return lambda decorator: decorator


logger = logging.getLogger("convostate")

OnOutage = Literal["refuse", "empty"]
OnOptOut = Literal["end", "keep"]
Calls = Literal["own", "shared"]

SHORTEST_LIFETIME = timedelta(seconds=60)
# After this Twilio drops the cookie: https://www.twilio.com/docs/messaging/twiml
LONGEST_IN_COOKIE = timedelta(hours=4)
LONGEST_AT_SERVER = timedelta(days=30)
# The longest value of a Redis: https://redis.io/docs/latest/develop/data-types/strings/
MOST_STATE_BYTES = 512 * 1024 * 1024
# By the scheme of the URL: the class below `convostate.stores` with a `from_url`, and the one for asyncio,
# which may be the same: what blocks is run in threads.
SERVER_STORES = dict.fromkeys(
    ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster"),
    ("redis.store:RedisStore", "redis.aio:AsyncRedisStore"),
)

_SET_KEY = f"Set {{variable}} to {WHICH_KEY}"

Held = TypeVar("Held")  # what a field holds
Given = TypeVar("Given")  # what it may be given as


class _Wrong(Exception):  # noqa: N818  # never leaves this module
    """A value that cannot be read: why, and what to set (after ``<variable>=``, or a sentence)."""

    def __init__(self, why: str, example: str = "", advice: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.advice = advice or f"Set {{variable}}={example}"


class _Secret(Generic[Held]):
    """Hides a value from `vars`."""

    __slots__ = ("value",)

    def __init__(self, value: Held) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "***"


class Setting(Generic[Held, Given]):
    """The declaration of one setting, and the field that it becomes: what it holds, what it may be given as.

    Args:
        read: Reads a value, in its Python type or as the string that the variable would hold.
        help: What it means, in Markdown.
        default: As the variable would hold it; None for no value. Type checkers take a declaration
            without `default` for a required one.
        secret: The value is never shown.
        variable: The environment variable; by default ``CONVOSTATE_`` and the field's name.
    """

    def __init__(
        self,
        read: Callable[[Any], Held],
        help: str,  # noqa: A002  # what it is called everywhere else
        *,
        default: str | None = None,
        secret: bool = False,
        variable: str = "",
    ) -> None:
        self.help, self.default, self.secret, self.variable = help, default, secret, variable
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.variable = self.variable or f"CONVOSTATE_{name.upper()}"

    def __repr__(self) -> str:
        return f"<{self.variable}>"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[Held, Given]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Held: ...
    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        value = vars(instance)[self.name]
        return value.value if self.secret else value

    def __set__(self, instance: object, value: Given) -> None:
        raise AttributeError(self.name)  # frozen; this method is for type checkers

    def read(self, value: Given | None) -> Held | None:
        """Read a value; None is the default.

        Raises:
            UsageError: It is wrong; the message does not show it, and ends with what to set.
        """
        try:
            if value is None and self.default is None:
                return None
            return self._read(_as_spelled(self.default if value is None else value))
        except _Wrong as wrong:
            advice = wrong.advice.format(variable=self.variable)
            raise UsageError(f"{self.variable} {wrong.why}. {advice}") from None


_QUOTES = "[\"'`\u2018\u2019\u201c\u201d]"
_PLACEHOLDER = r"(?s)\$\{.*\}|\$\(.*\)|\A(?:\$\w+|\{\{.*\}\}|%\w+%|<.*>|None|null|undefined)\Z"
# Not beside a comma: a list may be broken there, as in YAML.
_LINE_BREAK = r"(?:[^\s,]|\A)\s*[\r\n]\s*(?:[^\s,]|\Z)|\\[rn]\Z"
_INVISIBLE = "[\u200b-\u200f\u2060\ufeff]"
# What env files, templates and copied text leave in a value: how it looks, what is wrong, how to set it.
_LEFTOVERS = (
    (rf"\A{_QUOTES}|{_QUOTES}\Z", "is in quotes, which Docker's env files keep", "without quotes"),
    (_PLACEHOLDER, "holds a placeholder, such as ${…}, instead of a value", "to the value itself"),
    (r"\s#", "has a comment (#), which Docker's env files keep", "without the comment"),
    (_LINE_BREAK, r"holds a line break (\r or \n)", "without the line break"),
    (
        _INVISIBLE,
        "holds an invisible character, such as a byte order mark",
        "without that character",
    ),
)


def _as_spelled(value: Any) -> Any:
    """Refuse what surrounds a value by mistake."""
    if isinstance(value, str):
        for look, why, advice in _LEFTOVERS:
            if re.search(look, value):
                raise _Wrong(why, advice=f"Set {{variable}} {advice}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _Wrong("is empty or not a printable text", "<text>")
    return value


# https://www.twilio.com/docs/glossary/what-is-a-sid
_sid = re.compile("[A-Z]{2}[0-9a-f]{32}").fullmatch
_account_sid = re.compile("AC[0-9a-f]{32}").fullmatch
_ACCOUNT_TOKENS = "AC<32 hexadecimal digits>=<token>"
_SHARED_KEYS = "<key_id>=<secret>,<key_id>=<secret>"


def _token(value: Any, example: str = "<token>") -> str:
    token = _text(value)
    if "," in token:
        raise _Wrong(
            "holds a comma, and it takes exactly one token",
            advice="Set the others with CONVOSTATE_AUTH_TOKENS=<token>,<token>",
        )
    if not token.isascii() or set(token) & set(" =\"';"):
        raise _Wrong("holds a character that no token has", example)
    if _sid(token):  # the account's is above the token in Twilio's console, and API keys have one
        raise _Wrong("holds a SID instead of a token", example)
    return token


def _list(value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (tuple, list)):
        raise _Wrong("is not a list", "<item>,<item>")
    items = tuple(part.strip() if isinstance(part, str) else part for part in parts)
    if not items or not all(
        isinstance(item, str) and item.isprintable() and item for item in items
    ):
        raise _Wrong("has an item that is empty or not a printable text", "<item>,<item>")
    return items


def _tokens(value: Any) -> tuple[str, ...]:
    return tuple(_token(item) for item in _list(value)) if value else ()


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if not value:
        return
    if isinstance(value, Mapping):
        for name, listed in value.items():
            for secret in [listed] if isinstance(listed, str) else _list(listed):
                yield _text(name), secret
        return
    for item in _list(value):
        name, _, secret = (part.strip() for part in item.partition("="))
        if not (name and secret):
            raise _Wrong("is not a list of name=secret", "<name>=<secret>,<name>=<secret>")
        yield name, secret


def _account_tokens(value: Any) -> Mapping[str, tuple[str, ...]]:
    accounts: dict[str, tuple[str, ...]] = {}
    for account, token in _named(value):
        if not _account_sid(account):
            raise _Wrong("names something that is not an account SID", _ACCOUNT_TOKENS)
        accounts[account] = (*accounts.get(account, ()), _token(token, _ACCOUNT_TOKENS))
    return accounts


def _shared_keys(value: Any) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    for key_id, secret in _named(value):
        if key_id in keys:
            raise _Wrong("names a key id twice", _SHARED_KEYS)
        keys[_token(key_id, _SHARED_KEYS)] = _text(secret)
    return keys


def _account(value: Any) -> str:
    account = _text(value)
    if not _account_sid(account):
        raise _Wrong("is not an account SID", "AC<32 hexadecimal digits>")
    return account


def _keyring(value: Any) -> Keyring:
    if isinstance(value, Keyring):
        return value
    if not isinstance(value, (str, list, tuple)):
        raise _Wrong("is not a key", advice=_SET_KEY)
    try:
        return Keyring.parse(value if isinstance(value, str) else ",".join(_list(value)))
    except UsageError as error:
        why, _, advice = str(error).rpartition(". ")
        raise _Wrong(f"cannot be used: {why[0].lower()}{why[1:]}", advice=advice) from None


def _one_key(value: Any) -> Keyring:
    keyring = _keyring(value)
    if len(keyring.keys) != 1:
        raise _Wrong("takes one key", advice="Set {variable} to the key you had before")
    return keyring


_is_factory = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*").fullmatch


def _store(value: Any) -> str:
    store = _text(value)
    scheme, _, rest = store.partition("://")
    if store in ("cookie", "memory") or (scheme in SERVER_STORES and rest) or _is_factory(store):
        return store
    known = ", ".join(f"{name}://…" for name in SERVER_STORES)
    raise _Wrong(
        f"is not one of cookie, memory, {known}, package.module:factory", "redis://localhost:6379/0"
    )


def _public_url(value: Any) -> str:
    url = _text(value).rstrip("/")
    # Others would never verify a request; a WebSocket's URL is made from the https one.
    if "?" in url or "#" in url or url[:2] == "ws" or not url_variants(f"{url}/"):
        raise _Wrong(
            "is not an origin with an optional prefix",
            "https://example.com, scheme and host as Twilio was given them",
        )
    return url


# Patterns that would guard nothing: how they look, and what is wrong.
_NO_PATHS = (
    (r"\A(?!!?[/*])", "has a pattern that does not begin with /, *, !/ or !*"),
    (r"\s", "has a pattern with a blank"),
    # Other separators of lists, quotes, escapes, parts of a URL, placeholders of frameworks' routes.
    (r"""[;|#%"'<>{}\\]|:/|\?[^/*]*=""", "has a pattern with a character that paths do not have"),
    (r"\[[^]]*\Z|\A[^[]*\]", "has a pattern with only one of [ and ]"),
)


def _paths(value: Any) -> tuple[str, ...]:
    patterns = _list(value)
    for look, why in _NO_PATHS:
        if any(re.search(look, pattern) for pattern in patterns):
            raise _Wrong(why, "/sms,/voice/*")
    return patterns


def _own_params(value: Any) -> tuple[str, ...]:
    names = _list(value) if value else ()
    for name in names:
        # Three letters of its own: `*` would trust everybody's parameters.
        if not re.fullmatch(r"[\w.*?-]*", name) or len(re.sub(r"[*?.\W]", "", name)) < 3:
            raise _Wrong("has an item that is not a parameter's name", "transferFrom,lead*")
    return names


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def span_of(value: Any, fraction: str = "") -> Any:
    """The span of time of a text such as ``4h``; anything else is returned as it is."""
    match = (
        re.fullmatch(rf"([0-9]{{1,7}}{fraction})\s*([smhd])", value)
        if isinstance(value, str)
        else None
    )
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]]) if match else value


def _lifetime(value: Any) -> timedelta:
    span = span_of(value)
    if not isinstance(span, timedelta):
        raise _Wrong("is not a number of s, m, h or d", "4h")
    if span % timedelta(seconds=1):
        raise _Wrong("is not a whole number of seconds", "4h")
    return span


def _span(least_s: float, most_s: float, example: str) -> Callable[[Any], timedelta]:
    """Reads a span of time that may have a fraction, such as ``1.5s``."""

    def read(value: Any) -> timedelta:
        span = span_of(value, r"(?:\.[0-9]{1,3})?")
        if not isinstance(span, timedelta) or not least_s <= span.total_seconds() <= most_s:
            raise _Wrong(f"is not a number of s, m, h or d from {least_s} s to {most_s} s", example)
        return span

    return read


def _cookie_name(value: Any) -> str:
    # RFC 6265 §4.1.1 takes any token; these names are safe with every parser.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise _Wrong("is not 1 to 64 letters, digits, dots, dashes and underscores", "convostate")
    return value


def _one_of(*allowed: str) -> Callable[[Any], Any]:
    def read(value: Any) -> str:
        if value not in allowed:
            raise _Wrong(f"is not {' or '.join(allowed)}", allowed[0])
        return str(value)

    return read


def _number(least: int, most: int, example: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = (
            int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
        )
        if type(number) is not int or not least <= number <= most:
            raise _Wrong(f"is not a whole number from {least} to {most}", example)
        return number

    return read


# What a list names; a key of other characters can be given in a mapping.
_trimmed = re.compile(r"([\w.-]+)(?:\s*:\s*([1-9][0-9]?))?").fullmatch
_MOST_AT_ONCE = 99


def _trim(value: Any) -> Mapping[str, int]:
    if not value:
        return {}
    given: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        given += value.items()
    else:
        for item in _list(value):
            match = _trimmed(item)
            given.append((match[1], int(match[2] or 1)) if match else (None, 1))
    units: dict[str, int] = {}
    for key, unit in given:
        if type(key) not in (str, int) or type(unit) is not int or not 1 <= unit <= _MOST_AT_ONCE:
            raise _Wrong(
                f"has an item that is neither a key nor key:number, from 1 to {_MOST_AT_ONCE}",
                "history:2,chat_log",
            )
        if str(key) in units:
            raise _Wrong("names a key twice", "history:2,chat_log")
        units[str(key)] = unit
    return units


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Setting,))
def _declared(cls: type[Held]) -> type[Held]:
    """Make the class of declarations a frozen dataclass, and list them in its docstring."""
    made = dataclass(frozen=True, init=False, repr=False)(cls)
    listed = (f"    {each.name}: {each.help} ({each.variable})" for each in _declarations(made))
    made.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), "", "Attributes:", *listed])
    return made


def _declarations(cls: Any) -> list[Setting[Any, Any]]:
    return [getattr(cls, field.name) for field in fields(cls)]


@_declared
class Settings:
    """All settings, each in its Python type or as the string that its variable would hold.

    Raises:
        UsageError: Settings are missing or wrong; the message names each and what to do about it.
    """

    auth_token: Setting[str | None, str | None] = Setting(
        _token,
        "The account's auth token; required, or one of the next three. twilio-python reads it too.",
        variable="TWILIO_AUTH_TOKEN",
        secret=True,
        default=None,
    )
    auth_tokens: Setting[tuple[str, ...], Texts | None] = Setting(
        _tokens,
        "More auth tokens that are accepted, comma-separated: the other one during a rotation.",
        secret=True,
        default="",
    )
    account_tokens: Setting[Mapping[str, tuple[str, ...]], Mapping[str, Texts] | str | None] = (
        Setting(
            _account_tokens,
            "`AC…=token,AC…=token` for subaccounts. An account not named here is refused, unless the auth "
            "token is set as well for TWILIO_ACCOUNT_SID.",
            secret=True,
            default="",
        )
    )
    shared_keys: Setting[Mapping[str, str], Mapping[str, str] | str | None] = Setting(
        _shared_keys,
        "`key_id=secret,…`: webhooks signed with HMAC-SHA256 shared keys.",
        secret=True,
        default="",
    )
    account_sid: Setting[str | None, str | None] = Setting(
        _account,
        "The account of the auth token, and of `Conversations` outside a request.",
        variable="TWILIO_ACCOUNT_SID",
        secret=True,
        default=None,
    )
    keys: Setting[Keyring, Keyring | Texts] = Setting(
        _keyring,
        "Sealing keys from `convostate keygen`, comma-separated; required. The first seals, all open.",
        secret=True,
    )
    index_key: Setting[Keyring | None, Keyring | str | None] = Setting(
        _one_key,
        "Names conversations in a server-side store and does not rotate. Default: the only key.",
        secret=True,
        default=None,
    )
    store: Setting[str, str | None] = Setting(
        _store,
        "`cookie`, `memory`, `redis://…`, `rediss://…`, `unix://…`, `redis+sentinel://h1:26379,h2:26379/service`, "
        "`redis+cluster://h1:6379,h2:6379`, or `package.module:factory` for a store of your own",
        secret=True,  # its URL may hold a password
        default="cookie",
    )
    public_url: Setting[str | None, str | None] = Setting(
        _public_url,
        "`https://example.com[/prefix]`: the origin that Twilio was given; needed behind a proxy. Default: what the request says.",
        default=None,
    )
    paths: Setting[tuple[str, ...], Texts | None] = Setting(
        _paths,
        "Comma-separated patterns of the paths that are guarded; all others pass through untouched. "
        "`!` in front excludes: `/survey/*,!/survey/*/results`. The last pattern that matches counts.",
        default="*",
    )
    own_params: Setting[tuple[str, ...], Texts | None] = Setting(
        _own_params,
        "Names or patterns, comma-separated, of parameters that your account itself adds to webhooks "
        "(Voice SDK), for those that the re-split guard cannot tell from a forgery: `transferFrom`.",
        default="",
    )
    lifetime: Setting[timedelta, timedelta | str | None] = Setting(
        _lifetime,
        "`90s`, `30m`, `4h`: from 60 s to 4 h with the cookie store, to 30 days (`30d`) with a server-side one.",
        default="4h",
    )
    cookie_name: Setting[str, str | None] = Setting(
        _cookie_name, "The cookie's name.", default="convostate"
    )
    on_outage: Setting[OnOutage, OnOutage | None] = Setting(
        _one_of("refuse", "empty"),
        "Store down: `refuse` (503, Twilio goes to the fallback URL) or `empty` (the app runs, `state.lost` says why, nothing is written).",
        default="refuse",
    )
    on_opt_out: Setting[OnOptOut, OnOptOut | None] = Setting(
        _one_of("end", "keep"), "STOP ends the conversation, or `keep`.", default="end"
    )
    calls: Setting[Calls, Calls | None] = Setting(
        _one_of("own", "shared"),
        "A call's state is its `own`: it begins empty and lives for 4 hours at most. `shared`: it is that of "
        "the pair, with the pair's texts.",
        default="own",
    )
    max_waiting: Setting[int | None, int | str | None] = Setting(
        _number(0, 1000, "2"),
        "Texts of one conversation that may wait at once on a server-side store; more is 503. "
        "Default: 2 under WSGI, where a text that waits keeps a worker, and 8 under ASGI.",
        default=None,
    )
    defer_paths: Setting[tuple[str, ...], Texts | None] = Setting(
        lambda value: _paths(value) if value else (),
        "Comma-separated patterns of guarded paths whose texts may be answered later, by a worker. The state "
        "is read-only there.",
        default="",
    )
    longest_answer: Setting[timedelta, timedelta | str | None] = Setting(
        _span(1, 3600, "5m"),
        "How long the function that answers later may run, to `1h`; then it counts as failed.",
        default="5m",
    )
    burst: Setting[timedelta, timedelta | str | None] = Setting(
        _span(0, 10, "1.5s"),
        "`1.5s`: an answer waits until the person has been silent for so long, 10 s at most, so that texts "
        "in a row get one answer.",
        default="0s",
    )
    max_body_bytes: Setting[int, int | str | None] = Setting(
        _number(1024, 16 * 1024 * 1024, "262144"),
        "The longest request body, in bytes; longer is 413.",
        default="262144",
    )
    max_state_bytes: Setting[int, int | str | None] = Setting(
        _number(256, MOST_STATE_BYTES, "1048576"),
        "The longest sealed state in a server-side store, in bytes; a longer one is an error of the app's. "
        "One that is stored already may shrink, and not grow. A cookie's bound is fixed: about 2,800 bytes.",
        default="1048576",
    )
    trim: Setting[Mapping[str, int], Mapping[str, int] | Mapping[int, int] | Texts | None] = (
        Setting(
            _trim,
            "`history:2,chat_log`: keys of the state whose lists lose their oldest items if the state is too "
            "large; with `:2` two at a time, such as a question and its answer.",
            default="",
        )
    )

    if not TYPE_CHECKING:  # type checkers make it from the declarations

        def __init__(self, **given: Any) -> None:
            check_names(given)
            faults = _fill(self, given)
            given.clear()  # error trackers show the variables of each frame
            if faults:
                raise UsageError(".\n".join(map(str, faults)))

    def __repr__(self) -> str:
        shown = [
            f"{each.name}={each.__get__(self, Settings)!r}" for each in SETTINGS if not each.secret
        ]
        return f"Settings(store={self.store.partition(':')[0]!r}, {', '.join(shown)}, …)"

    def __copy__(self) -> Settings:
        return self  # frozen

    def __deepcopy__(self, memo: object) -> Settings:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            "Settings hold secrets and are not pickled. Make them in each process: Settings.from_environ()"
        )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Read the settings from environment variables; an empty one counts as not set.

        A variable whose name only resembles that of a setting is ignored, and logged as a warning.

        Args:
            environ: The variables.
            **given: Settings that override their variables.

        Raises:
            UsageError: Variables are missing or wrong; the message names each and what to do about it.
        """
        for what, advice in unknown_variables(environ):
            _warn(what, advice)
        return cls(**_found(environ) | given)

    @classmethod
    def faults(cls, environ: Mapping[str, str]) -> list[UsageError]:
        """Every variable that is missing or wrong, in the order of the declarations."""
        return _fill(object.__new__(cls), _found(environ))

    def secrets(self) -> Secrets:
        """What may sign a webhook."""
        own = ((self.auth_token,) if self.auth_token else ()) + self.auth_tokens
        accounts = dict(self.account_tokens)
        if accounts and self.account_sid and own:
            accounts[self.account_sid] = accounts.get(self.account_sid, ()) + own
        return Secrets(own, accounts, self.shared_keys, self.own_params)

    def check_store(self, *, server_side: bool) -> None:
        """Refuse settings that do not go with the kind of store.

        Raises:
            UsageError: The message names each and what to do about it.
        """
        faults = list(_store_faults(self, server_side=server_side))
        if faults:
            raise UsageError(".\n".join(faults))


SETTINGS: tuple[Setting[Any, Any], ...] = tuple(_declarations(Settings))
"""The declarations, in order."""


def _fill(settings: Settings, given: Mapping[str, Any]) -> list[UsageError]:
    """Read all values into the fields; returns one fault for each setting that is missing or wrong."""
    faults: list[UsageError] = []
    values: dict[str, Any] = {}
    for each in SETTINGS:
        try:
            values[each.name] = each.read(given.get(each.name))
        except UsageError as error:  # noqa: PERF203  # at start-up, and all faults are wanted
            faults.append(error)
    vars(settings).update(
        (each.name, _Secret(values.get(each.name)) if each.secret else values.get(each.name))
        for each in SETTINGS
    )
    signing = [
        values.get(name, "wrong")
        for name in ("auth_token", "auth_tokens", "account_tokens", "shared_keys")
    ]
    if not any(signing):
        faults.append(UsageError(
            "TWILIO_AUTH_TOKEN is not set, and signatures cannot be checked without it. "
            "Set TWILIO_AUTH_TOKEN=<your account's auth token>"
        ))  # fmt: skip
    if values.get("keys", "wrong") is None:
        variable = Settings.keys.variable
        faults.append(UsageError(f"{variable} is not set. {_SET_KEY.format(variable=variable)}"))
    if values.keys() >= {"lifetime", "store"}:
        # For the store that is named. The one in use may be another, of the caller's: see `turns`.
        server_side = settings.store != "cookie"
        has_keys = values.get("keys") is not None and "index_key" in values
        found = _store_faults(settings, server_side=server_side, has_keys=has_keys)
        faults += map(UsageError, found)
    return faults


@cache
def _warn(what: str, advice: str) -> None:
    """Log a warning once in a process, however many objects read the environment."""
    logger.warning("%s. %s", what, advice)


def _found(environ: Mapping[str, str]) -> dict[str, Any]:
    values = {each.name: environ.get(each.variable, "").strip() for each in SETTINGS}
    return {name: value for name, value in values.items() if value}


def check_names(given: Iterable[str]) -> None:
    """Refuse names that are not settings.

    Raises:
        UsageError: One of them is not a setting's; the message names the nearest.
    """
    for name in given:
        near = _nearest(name)
        if near is None or near.name != name:
            known = ", ".join(each.name for each in SETTINGS)
            advice = f"Write {near.name}" if near else f"Use one of: {known}"
            raise UsageError(f"There is no setting {name}. {advice}")


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find variables that are named like settings and are not; what is wrong with each, and what to do."""
    known = {each.variable for each in SETTINGS}
    for variable in environ:
        plain = re.sub(r"\W", "", variable)  # without the byte order mark of an env file
        # The package's name may be misspelled as well, or written as two words.
        package, _, name = plain.lower().replace("convo_", "convo", 1).partition("_")
        is_ours = plain in known or get_close_matches(package, ["convostate"], cutoff=0.8)
        if variable not in known and is_ours:
            near = _nearest(name)
            advice = f"Rename it to {near.variable}" if near else "Remove it"
            yield f"{ascii(variable)[1:-1]} is not a known setting and is ignored", advice


def _nearest(name: str) -> Setting[Any, Any] | None:
    """The setting with the most similar name; None if none is similar."""
    near = get_close_matches(name, [each.name for each in SETTINGS], n=1)
    return next((each for each in SETTINGS if [each.name] == near), None)


def _store_faults(settings: Settings, *, server_side: bool, has_keys: bool = True) -> Iterator[str]:
    is_unnamed = server_side and has_keys and settings.index_key is None
    if is_unnamed and len(settings.keys.keys) > 1:
        yield (
            "CONVOSTATE_KEYS holds several keys, and with a server-side store one key names the "
            "conversations: with another key all of them would be lost. "
            "Set CONVOSTATE_INDEX_KEY to the key you had before"
        )
    longest = LONGEST_AT_SERVER if server_side else LONGEST_IN_COOKIE
    if not SHORTEST_LIFETIME <= settings.lifetime <= longest:
        bound, advice = "30 days", "30d"
        if not server_side:
            bound = "4 h with the cookie store (Twilio drops cookies then)"
            advice = "4h, or keep the state at the server: CONVOSTATE_STORE=redis://…"
        yield f"CONVOSTATE_LIFETIME must be from 60 s to {bound}. Set CONVOSTATE_LIFETIME={advice}"
