"""Settings: declared once, here. The table in the documentation, `convostate doctor` and the errors derive from it.

This is the only file that reads the environment.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from convostate.errors import UsageError
from convostate.setting_values import READERS, check_names
from convostate.twilio.signature import Secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convostate.sealing.keys import Keyring

    Texts = str | list[str] | tuple[str, ...]

OnOutage = Literal["refuse", "empty"]
OnOptOut = Literal["end", "keep"]

SHORTEST_LIFETIME = timedelta(seconds=60)
LONGEST_IN_COOKIE = timedelta(
    hours=4
)  # then Twilio drops the cookie: https://www.twilio.com/docs/messaging/twiml
LONGEST_AT_SERVER = timedelta(days=30)


_NONE: Mapping[str, Any] = {}


def _set(variable: str, default: Any, meaning: str) -> Any:
    metadata = {"variable": variable, "meaning": meaning}
    if default is _NONE:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


_MAY_BE_EMPTY = ("auth_tokens", "account_tokens", "shared_keys")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """Everything that can be set, each in its Python type or as the string its variable would hold.

    Raises:
        UsageError: A setting is missing or wrong; the message ends with what to do.
    """

    auth_token: str | None = _set(
        "TWILIO_AUTH_TOKEN",
        None,
        "The account's auth token; required, or one of the next three. twilio-python reads it too.",
    )
    auth_tokens: tuple[str, ...] = _set(
        "CONVOSTATE_AUTH_TOKENS",
        (),
        "More auth tokens that are accepted, comma-separated: the other one during a rotation.",
    )
    account_tokens: Mapping[str, tuple[str, ...]] = _set(
        "CONVOSTATE_ACCOUNT_TOKENS",
        _NONE,
        "`AC…=token,AC…=token` for subaccounts. An account not named here is refused, unless the auth token is set as well "
        "for TWILIO_ACCOUNT_SID.",
    )
    shared_keys: Mapping[str, str] = _set(
        "CONVOSTATE_SHARED_KEYS",
        _NONE,
        "`key_id=secret,…`: webhooks signed with HMAC-SHA256 shared keys.",
    )
    account_sid: str | None = _set(
        "TWILIO_ACCOUNT_SID",
        None,
        "The account of the auth token, and of `Conversations` outside a request.",
    )
    keys: Keyring = _set(
        "CONVOSTATE_KEYS",
        None,
        "Sealing keys from `convostate keygen`, comma-separated; required. The first seals, all open.",
    )
    index_key: Keyring | None = _set(
        "CONVOSTATE_INDEX_KEY",
        None,
        "Names conversations in a server-side store and does not rotate. Default: the only key.",
    )
    store: str = _set(
        "CONVOSTATE_STORE",
        "cookie",
        "`cookie`, `memory`, `redis://…`, `rediss://…`, `unix://…`, `redis+sentinel://h1:26379,h2:26379/service`, "
        "`redis+cluster://h1:6379,h2:6379`",
    )
    public_url: str | None = _set(
        "CONVOSTATE_PUBLIC_URL",
        None,
        "`https://example.com[/prefix]`: the origin that Twilio was given; needed behind a proxy. Default: what the request says.",
    )
    paths: tuple[str, ...] = _set(
        "CONVOSTATE_PATHS",
        ("*",),
        "Comma-separated patterns of the paths that are guarded; all others pass through untouched.",
    )
    lifetime: timedelta = _set(
        "CONVOSTATE_LIFETIME",
        LONGEST_IN_COOKIE,
        "`90s`, `30m`, `4h`: from 60 s to 4 h with the cookie store, to 30 days (`30d`) with a server-side one.",
    )
    cookie_name: str = _set("CONVOSTATE_COOKIE_NAME", "convostate", "The cookie's name.")
    on_outage: OnOutage = _set(
        "CONVOSTATE_ON_OUTAGE",
        "refuse",
        "Store down: `refuse` (503, Twilio goes to the fallback URL) or `empty` (the app runs, `state.lost` says why, nothing is written).",
    )
    on_opt_out: OnOptOut = _set(
        "CONVOSTATE_ON_OPT_OUT", "end", "STOP ends the conversation, or `keep`."
    )
    max_waiting: int = _set(
        "CONVOSTATE_MAX_WAITING",
        8,
        "Texts of one conversation that may wait at once on a server-side store; more is 503.",
    )
    max_body_bytes: int = _set(
        "CONVOSTATE_MAX_BODY_BYTES", 262_144, "The longest request body, in bytes; longer is 413."
    )

    if TYPE_CHECKING:  # what may be given is wider than what a field then holds

        def __init__(
            self,
            *,
            keys: Keyring | Texts,
            auth_token: str | None = None,
            auth_tokens: Texts | None = None,
            account_tokens: Mapping[str, Texts] | str | None = None,
            shared_keys: Mapping[str, str] | str | None = None,
            account_sid: str | None = None,
            index_key: Keyring | str | None = None,
            store: str | None = None,
            public_url: str | None = None,
            paths: Texts | None = None,
            lifetime: timedelta | str | None = None,
            cookie_name: str | None = None,
            on_outage: OnOutage | None = None,
            on_opt_out: OnOptOut | None = None,
            max_waiting: int | str | None = None,
            max_body_bytes: int | str | None = None,
        ) -> None: ...

    def __new__(cls, *_by_place: object, **given: object) -> Settings:
        """Refuse a name that is none before the `__init__` of a dataclass does, which helps nobody."""
        check_names(given)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for declared in fields(self):
            value = getattr(self, declared.name)
            if value is None or (declared.name in _MAY_BE_EMPTY and not value):  # as if not given
                unset = declared.default_factory
                value = declared.default if unset is MISSING else unset()
            else:
                value = READERS[declared.name](declared.metadata["variable"], value)
            object.__setattr__(self, declared.name, value)
        self._check_secrets()
        # For the store that is named. The one in use may be another, of the caller's: see `terms`.
        self.check_store(server_side=self.store != "cookie")

    def __repr__(self) -> str:
        hidden = {
            "auth_token",
            "auth_tokens",
            "account_tokens",
            "shared_keys",
            "account_sid",
            "keys",
            "index_key",
            "store",
        }
        shown = (
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name not in hidden
        )
        return f"Settings(store={self.store.partition(':')[0]!r}, {', '.join(shown)}, …)"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Settings:
        """Read the settings from environment variables; an empty one counts as not set.

        Args:
            environ: The variables.
            **given: Settings that go before their variables.

        Raises:
            UsageError: A variable is missing or wrong; the message ends with what to do.
        """
        found: dict[str, Any] = {
            f.name: environ.get(f.metadata["variable"], "").strip() for f in fields(cls)
        }
        return cls(**{name: value for name, value in found.items() if value} | given)

    def secrets(self) -> Secrets:
        """What may sign a webhook."""
        own = ((self.auth_token,) if self.auth_token else ()) + self.auth_tokens
        accounts = dict(self.account_tokens)
        if accounts and self.account_sid and own:
            accounts[self.account_sid] = accounts.get(self.account_sid, ()) + own
        return Secrets(own, accounts, self.shared_keys)

    def _check_secrets(self) -> None:
        """Refuse to go without what proves and seals."""
        if not (self.auth_token or self.auth_tokens or self.account_tokens or self.shared_keys):
            raise UsageError(
                "There is no auth token to check signatures with. "
                "Set TWILIO_AUTH_TOKEN=<your account's auth token>"
            )
        if self.keys is None:
            raise UsageError(
                'There is no sealing key. Run: export CONVOSTATE_KEYS="$(convostate keygen)"'
            )
        if self.index_key is not None and len(self.index_key.keys) != 1:
            raise UsageError(
                "CONVOSTATE_INDEX_KEY takes one key. Set CONVOSTATE_INDEX_KEY to the key you had before"
            )

    def check_store(self, *, server_side: bool) -> None:
        """Refuse what does not go with the kind of store."""
        if server_side and self.index_key is None and len(self.keys.keys) > 1:
            raise UsageError(
                "With several CONVOSTATE_KEYS and a server-side store, the key that names "
                "conversations must be told: another one would lose them all. "
                "Set CONVOSTATE_INDEX_KEY to the key you had before"
            )
        longest = LONGEST_AT_SERVER if server_side else LONGEST_IN_COOKIE
        if not SHORTEST_LIFETIME <= self.lifetime <= longest:
            bound = (
                "30 days"
                if server_side
                else "4 h with the cookie store (Twilio drops cookies then)"
            )
            advice = (
                "30d"
                if server_side
                else "4h, or keep the state at the server: CONVOSTATE_STORE=redis://…"
            )
            raise UsageError(
                f"CONVOSTATE_LIFETIME goes from 60 s to {bound}. Set CONVOSTATE_LIFETIME={advice}"
            )


def _documented() -> str:
    """The class's text with its fields, whose meanings stand in the declarations."""
    attributes = (
        f"    {f.name}: {f.metadata['meaning']} ({f.metadata['variable']})"
        for f in fields(Settings)
    )
    return "\n".join([inspect.cleandoc(Settings.__doc__ or ""), "", "Attributes:", *attributes])


Settings.__doc__ = _documented()
