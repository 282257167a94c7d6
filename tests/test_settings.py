"""Settings: every variable and field is checked at start-up, and the last sentence says what to set."""

from __future__ import annotations

import copy
import inspect
import pickle  # noqa: TID251  # to see that it is refused
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from typing import Any

import pytest

from convostate import ConversationMiddleware, Keyring, Settings, UsageError
from convostate.settings import SETTINGS, _warn
from convostate.stores import CookieStore, MemoryStore
from convostate.turns import configure
from convostate.twilio.signature import Secrets
from tests.answering import Answering
from tests.served import ACCOUNT, KEY, OTHER_KEY, TOKEN, settings

LEAST = {"TWILIO_AUTH_TOKEN": TOKEN, "CONVOSTATE_KEYS": KEY}
VARIABLES = {each.variable: each.name for each in SETTINGS}
SUB = "AC" + "b" * 32

VALID: dict[str, dict[str, Any]] = {
    "TWILIO_AUTH_TOKEN": {TOKEN: TOKEN, f" {TOKEN}\n": TOKEN},
    "CONVOSTATE_AUTH_TOKENS": {"x": ("x",), "x,y": ("x", "y"), " x , y ": ("x", "y")},
    "CONVOSTATE_ACCOUNT_TOKENS": {f"{SUB}=x": {SUB: ("x",)}, f"{SUB}=x, {SUB}=y,{ACCOUNT}=z": {SUB: ("x", "y"), ACCOUNT: ("z",)}},
    "CONVOSTATE_SHARED_KEYS": {"k=x": {"k": "x"}, "k=x==,l=y": {"k": "x==", "l": "y"}},
    "TWILIO_ACCOUNT_SID": {ACCOUNT: ACCOUNT},
    "CONVOSTATE_STORE": {name: name for name in ("cookie", "memory", "redis://h:1/0", "rediss://h", "unix:///tmp/x", "redis+sentinel://a:1,b:2/s",
                                                 "redis+cluster://a:1,b:2")},
    "CONVOSTATE_PUBLIC_URL": {"https://example.com": "https://example.com", "https://example.com/": "https://example.com",
                              "http://h:8080/pre/fix": "http://h:8080/pre/fix", "https://[::1]:8443": "https://[::1]:8443"},
    "CONVOSTATE_PATHS": {"/sms": ("/sms",), "/sms, /voice/*": ("/sms", "/voice/*"), "*": ("*",), "/v?ice,/[sv]ms": ("/v?ice", "/[sv]ms"), "/survey/*,!/survey/*/results": ("/survey/*", "!/survey/*/results")},
    "CONVOSTATE_OWN_PARAMS": {"transferFrom": ("transferFrom",), "lead*, X-From": ("lead*", "X-From")},
    "CONVOSTATE_LIFETIME": {"60s": timedelta(seconds=60), "1m": timedelta(minutes=1), "30m": timedelta(minutes=30), "4h": timedelta(hours=4),
                            "14400s": timedelta(hours=4), "4 h": timedelta(hours=4)},
    "CONVOSTATE_COOKIE_NAME": {"c": "c", "__Host-x.y_z": "__Host-x.y_z", "x" * 64: "x" * 64},
    "CONVOSTATE_ON_OUTAGE": {"refuse": "refuse", "empty": "empty"},
    "CONVOSTATE_ON_OPT_OUT": {"end": "end", "keep": "keep"},
    "CONVOSTATE_CALLS": {"own": "own", "shared": "shared"},
    "CONVOSTATE_MAX_WAITING": {"0": 0, "8": 8, "1000": 1000},
    "CONVOSTATE_DEFER_PATHS": {"/sms": ("/sms",), "/sms,!/sms/x": ("/sms", "!/sms/x")},
    "CONVOSTATE_LONGEST_ANSWER": {"1s": timedelta(seconds=1), "5m": timedelta(minutes=5), "1h": timedelta(hours=1), "2.5m": timedelta(seconds=150)},
    "CONVOSTATE_BURST": {"0s": timedelta(0), "1.5s": timedelta(seconds=1.5), "10s": timedelta(seconds=10)},
    "CONVOSTATE_MAX_BODY_BYTES": {"1024": 1024, "16777216": 16777216},
    "CONVOSTATE_MAX_STATE_BYTES": {"256": 256, "1048576": 1048576, "536870912": 536870912},
    "CONVOSTATE_TRIM": {"history": {"history": 1}, "history:2,chat_log": {"history": 2, "chat_log": 1}, " history : 2 , 7:99": {"history": 2, "7": 99},
                        "a-b.c": {"a-b.c": 1}, "vérité:3": {"vérité": 3}},
}  # fmt: skip

NONSENSE: dict[str, list[str]] = {
    "TWILIO_AUTH_TOKEN": ["canary,x", "canary x", "canary=x", "canary\x00", "canary\nx", ",",
                          "${TWILIO_AUTH_TOKEN}", "$(cat token)", "<canary>", "None", "null", ACCOUNT, "SK" + "0" * 32],
    "CONVOSTATE_AUTH_TOKENS": ["canary,", ",", "canary,,x", "canary x", "canary=x", "canary\r\nx"],
    "CONVOSTATE_ACCOUNT_TOKENS": ["canary", "canary=x", f"{SUB}", f"{SUB}=", f"={TOKEN}", f"{SUB}=canary,", f"{SUB[:-1]}=canary", f"{SUB.upper()}=canary",
                                  f"{SUB}:canary", f"{SUB}=canary x", f"{SUB}=canary=x", f"XX{SUB[2:]}=canary", f"{SUB}0=canary"],
    "CONVOSTATE_SHARED_KEYS": ["canary", "canary=", "=canary", "k=canary,k=x", "k=canary,", "a b=canary", "k=canary\x07"],
    "TWILIO_ACCOUNT_SID": ["canary", "AC1", f"{ACCOUNT}0", ACCOUNT.lower(), f"{ACCOUNT},{SUB}", "SK" + "0" * 32, ACCOUNT[:-1] + "G"],
    "CONVOSTATE_KEYS": ["canary", KEY[:-1], f"{KEY}A", f"{KEY},{KEY}", f"{KEY},", ",", "A" * 43, f"{KEY};{OTHER_KEY}"],
    "CONVOSTATE_INDEX_KEY": ["canary", KEY[:-1], f"{KEY},{OTHER_KEY}", "A" * 43],
    "CONVOSTATE_STORE": ["canary", "Cookie", "redis", "redis:", "redis://", "redis:/canary", "http://canary", "file:///canary", "cookie ,", "REDIS://h"],
    "CONVOSTATE_PUBLIC_URL": ["canary", "example.com", "//example.com", "ftp://example.com", "https://", "https:///x", "https://u:canary@example.com",
                              "https://example.com?canary", "https://example.com/?", "https://example.com/#canary", "https://example.com:0",
                              "https://example.com:99999", "https://example.com:abc", "https://example.com:", "HTTPS://example.com",
                              "https://ex ample.com", "https://exam\u00fcple.com", "https://[::1", "https://exa$mple.com", "https://a,https://b",
                              "https://example.com\\x", "https://example.com/a b", "*", "wss://example.com"],
    "CONVOSTATE_PATHS": ["canary", "sms", "/sms,", ",", "/sms,voice", "https://example.com/sms",
        "/sms;/voice", "/sms:/voice", "/sms|/voice", "/sms?x=1", "/sms#rc=3", '/sms"', "/sms'", "/sms\u200b", "/sms%20", "/[sms", "*;", "/sms/<id>", "/sms/{id}", "\\sms", "/sms\\x"],
    "CONVOSTATE_LIFETIME": ["canary", "5h", "4h1s", "59s", "0s", "-1h", "4", "4H", "h", "1d", "14401s", "1.5h", "1e3s", "\u0664h", "9999999d", "4h,5h"],
    "CONVOSTATE_OWN_PARAMS": ["*", "??*", "a*", "canary=1", "a b c", "lead*,"],
    "CONVOSTATE_COOKIE_NAME": ["a b", "a;b", "a=b", "a,b", "canary\r\nSet-Cookie: x", "a\x00", "\u00e9", "x" * 65, '"a"', "a/b"],
    "CONVOSTATE_ON_OUTAGE": ["canary", "Refuse", "end", "yes", "1"],
    "CONVOSTATE_ON_OPT_OUT": ["canary", "END", "refuse", "true"],
    "CONVOSTATE_CALLS": ["canary", "Own", "pair", "none"],
    "CONVOSTATE_MAX_WAITING": ["canary", "-1", "1001", "8.0", "1e2", "0x8", "\u0668", "9" * 30, "+8"],
    "CONVOSTATE_DEFER_PATHS": ["canary", "sms", "/sms,", "/sms;/voice", "https://example.com/sms"],
    "CONVOSTATE_LONGEST_ANSWER": ["canary", "0s", "0.5s", "61m", "2h", "5", "-5m", "5 minutes", "1e2s", "\u0665m", "5M"],
    "CONVOSTATE_BURST": ["canary", "10.1s", "1m", "1,5s", "-1s", "1.5", "1500ms", ".5s", "1.0000s"],
    "CONVOSTATE_MAX_BODY_BYTES": ["canary", "0", "1023", "16777217", "-1", "256k", "1_024", "1024.0"],
    "CONVOSTATE_MAX_STATE_BYTES": ["canary", "0", "255", "536870913", "-1", "1M", "1_048_576", "none"],
    "CONVOSTATE_TRIM": ["canary:0", "canary:x", "canary:-1", "canary:2.5", "canary:100", "canary:02", "canary:", ":2", ":", ",", "canary,", "canary,,x",
                        "canary;x", "canary x", "canary=2", "canary:2:2", "canary,canary:2", "$['canary']", "canary[0]", "{canary: 2}", "canary:\u0662"],
}  # fmt: skip


def each(values: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, given in values.items() for value in given]


def test_every_variable_is_tried() -> None:
    assert set(VARIABLES) == set(NONSENSE) == {*VALID, "CONVOSTATE_KEYS", "CONVOSTATE_INDEX_KEY"}


def last_sentence(error: UsageError) -> str:
    return str(error).rpartition(". ")[2]


def test_a_variable_is_read_into_its_python_type(subtests: pytest.Subtests) -> None:
    for variable, value in each(VALID):
        with subtests.test(variable, value=value):
            name = VARIABLES[variable]
            found = getattr(Settings.from_environ({**LEAST, variable: value}), name)
            assert found == VALID[variable][value]
            assert type(found) is type(VALID[variable][value])
            assert found == getattr(settings(**{name: found}), name)  # as a field too


def test_nonsense_in_a_variable_does_not_start_and_the_last_sentence_helps(
    subtests: pytest.Subtests,
) -> None:
    for variable, value in each(NONSENSE):
        with subtests.test(variable, value=value):
            with pytest.raises(UsageError) as caught:
                Settings.from_environ({**LEAST, variable: value})
            message, advice = str(caught.value), last_sentence(caught.value)
            assert message.startswith(variable)
            assert any(hint in advice for hint in ("CONVOSTATE_", "TWILIO_", "convostate keygen"))
            assert not any(
                secret in message for secret in ("canary", TOKEN, KEY, KEY[:-1], ACCOUNT)
            )
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a40_nonsense_in_a_field_does_not_start_either(subtests: pytest.Subtests) -> None:
    for variable, value in each(NONSENSE):
        with subtests.test(variable, value=value), pytest.raises(UsageError):
            settings(**{VARIABLES[variable]: value})


WRONG_TYPES: dict[str, list[Any]] = {
    "auth_token": ["", 5, b"x", ["x"], "x,y"], "auth_tokens": [5, [5], [""], [None], {"x": "y"}, ["a,b"]],
    "account_tokens": [5, {SUB: None}, {SUB: 5}, {SUB: []}, {SUB: [None]}, {SUB: ""}, {5: "x"}, {None: "x"}, {"": "x"}, ["x"], {SUB: {"x"}}],
    "shared_keys": [5, {"k": None}, {"k": ["a", "b"]}, {"k": ""}, {"": "x"}, {5: "x"}, {"a,b": "x"}],
    "account_sid": ["", 5, b"AC"], "keys": ["", 5, b"x" * 32, [KEY, KEY], [5], [], KEY.encode(), object()], "index_key": ["", 5, [KEY, OTHER_KEY]],
    "store": ["", 5, object()], "public_url": ["", 5, b"https://example.com"], "paths": ["", 5, (), [""], [5], {"/sms"}],
    "lifetime": ["", 5, 4.0, timedelta(0), timedelta(seconds=59), timedelta(hours=4, microseconds=1), timedelta(hours=5), timedelta(days=-1),
                 timedelta(seconds=90, milliseconds=1), timedelta.max],
    "cookie_name": ["", 5, b"x"], "on_outage": ["", 5, None.__class__, ["refuse"]], "on_opt_out": ["", True], "max_waiting": ["", 8.0, True, -1, 1001],
    "defer_paths": [5, [""], ["sms"], {"/sms"}], "longest_answer": ["", 5, 5.0, timedelta(0), timedelta(hours=2)],
    "burst": ["", 1.5, timedelta(seconds=11), timedelta(seconds=-1)],
    "max_body_bytes": ["", 262144.0, False, 0, 2**40], "max_state_bytes": ["", 1e6, True, 255, 2**40],
    "trim": [5, b"x", {"x"}, [5], [""], [("history", 2)], {"x": 0}, {"x": "2"}, {"x": True}, {"x": None}, {"x": 100}, {None: 1}, {1.5: 1}, {7: 1, "7": 2}],
}  # fmt: skip


def test_a40_a_field_of_another_type_does_not_start(subtests: pytest.Subtests) -> None:
    for name, value in each(WRONG_TYPES):
        with subtests.test(name, value=value):
            with pytest.raises(UsageError) as caught:
                settings(**{name: value})
            assert last_sentence(caught.value).startswith(
                ("Set ", "List ", "Use the key that your other hosts have; only a new installation")
            )


@pytest.mark.parametrize(
    "field", [each.name for each in SETTINGS if each.name not in ("auth_token", "keys")]
)
def test_none_and_an_empty_variable_count_as_not_set(field: str) -> None:
    variable = next(name for name, of in VARIABLES.items() if of == field)
    assert getattr(settings(**{field: None}), field) == getattr(settings(), field)
    assert getattr(Settings.from_environ({**LEAST, variable: " "}), field) == getattr(
        settings(), field
    )
    empties: tuple[Any, ...] = ((), [], "", {})
    for empty in empties:
        if field in ("auth_tokens", "account_tokens", "shared_keys"):
            assert isinstance(settings(**{field: empty}).secrets(), Secrets)


@pytest.mark.parametrize(("environ", "message"), [
    ({"CONVOSTATE_KEYS": KEY}, "Set TWILIO_AUTH_TOKEN=<your account's auth token>"),
    ({**LEAST, "TWILIO_AUTH_TOKEN": ""}, "Set TWILIO_AUTH_TOKEN=<your account's auth token>"),
    ({"TWILIO_AUTH_TOKEN": TOKEN}, "Set CONVOSTATE_KEYS to the key that your other hosts have; only a new installation makes one, with convostate keygen"),
    ({**LEAST, "CONVOSTATE_KEYS": f"{KEY},{OTHER_KEY}", "CONVOSTATE_STORE": "memory"}, "Set CONVOSTATE_INDEX_KEY to the key you had before"),
    ({**LEAST, "CONVOSTATE_STORE": "memory", "CONVOSTATE_LIFETIME": "31d"}, "Set CONVOSTATE_LIFETIME=30d"),
    ({**LEAST, "CONVOSTATE_LIFETIME": "5h"}, "Set CONVOSTATE_LIFETIME=4h, or keep the state at the server: CONVOSTATE_STORE=redis://\u2026"),
    ({**LEAST, "TWILIO_AUTH_TOKEN": "a,b"}, "Set the others with CONVOSTATE_AUTH_TOKENS=<token>,<token>"),
    ({**LEAST, "CONVOSTATE_ACCOUNT_TOKENS": f"{SUB}={TOKEN}="}, "Set CONVOSTATE_ACCOUNT_TOKENS=AC<32 hexadecimal digits>=<token>"),
    ({**LEAST, "CONVOSTATE_SHARED_KEYS": f"a b={TOKEN}"}, "Set CONVOSTATE_SHARED_KEYS=<key_id>=<secret>,<key_id>=<secret>"),
])  # fmt: skip
def test_what_is_missing_or_does_not_go_together_does_not_start(
    environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.from_environ(environ)
    assert str(caught.value).endswith(message)

    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError):
        ConversationMiddleware(Answering())
    for variable, value in LEAST.items():
        monkeypatch.setenv(variable, value)
    for variable in environ.keys() - LEAST.keys():
        monkeypatch.delenv(variable)
    assert ConversationMiddleware(Answering()).settings.store == "cookie"


@pytest.mark.parametrize(
    "given",
    [
        {"auth_tokens": TOKEN},
        {"account_tokens": {SUB: TOKEN}},
        {"shared_keys": {"k": TOKEN}},
        {"auth_token": TOKEN},
    ],
)
def test_one_secret_of_any_kind_is_enough(given: dict[str, Any]) -> None:
    assert Settings(**{"keys": KEY, **given}).secrets().every or "shared_keys" in given


def test_with_a_server_a_lifetime_may_be_thirty_days_and_an_index_key_stays() -> None:
    assert settings(store="memory", lifetime="30d").lifetime == timedelta(days=30)
    two_keys = settings(store="memory", keys=f"{OTHER_KEY},{KEY}", index_key=KEY)
    rotated = configure(two_keys, MemoryStore())[2]
    before = configure(settings(store="memory"), MemoryStore())[2]
    assert rotated.names.conversation(b"x") == before.names.conversation(b"x")
    with pytest.raises(UsageError, match="CONVOSTATE_LIFETIME"):
        configure(settings(store="memory", lifetime="30d"), CookieStore())


def test_no_secret_is_ever_shown() -> None:
    shown = repr(settings(
        auth_tokens="canary1", account_tokens={SUB: "canary2"}, shared_keys={"canary3": "canary4"}, account_sid=ACCOUNT, index_key=OTHER_KEY,
        store="rediss://canary5:canary6@canary7:6379/0", public_url="https://example.com",
    ))  # fmt: skip
    assert not any(secret in shown for secret in ("canary", TOKEN, KEY, OTHER_KEY, ACCOUNT, SUB))
    assert "store='rediss'" in shown
    assert "public_url='https://example.com'" in shown


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("lifetyme", "Write lifetime"),
        ("public_uri", "Write public_url"),
        ("key", "Write keys"),
        ("nope", "Use one of: auth_token, auth_tokens, "),
    ],
)
def test_an_unknown_setting_is_an_error_that_suggests_the_nearest(name: str, advice: str) -> None:
    for make in (settings, Settings, lambda **given: Settings.from_environ(LEAST, **given)):
        given: dict[str, Any] = {name: "canary"}
        with pytest.raises(UsageError, match=f"^There is no setting {name}. {advice}") as caught:
            make(**given)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("CONVOSTATE_PATH", "Rename it to CONVOSTATE_PATHS"),
        ("CONVOSTATE_AUTH_TOKEN", "Rename it to TWILIO_AUTH_TOKEN"),
        ("CONVOSTATE_ACCOUNT_SID", "Rename it to TWILIO_ACCOUNT_SID"),
        ("CONVO_STATE_ON_OUTAGE", "Rename it to CONVOSTATE_ON_OUTAGE"),
        ("Convostate_Max_Waiting", "Rename it to CONVOSTATE_MAX_WAITING"),
        ("CONVOSATE_PUBLIC_URI", "Rename it to CONVOSTATE_PUBLIC_URL"),
        ("CONVOSTATE_QQQQQQQQ", "Remove it"),
        ("\ufeffTWILIO_AUTH_TOKEN", "Rename it to TWILIO_AUTH_TOKEN"),
        ("\ufeffCONVOSTATE_KEYS", "Rename it to CONVOSTATE_KEYS"),
        ("TWILIO_ACCOUNT_SID ", "Rename it to TWILIO_ACCOUNT_SID"),
    ],
)
def test_o9_a_misspelt_variable_is_logged_once_with_the_nearest_setting_and_without_its_value(
    variable: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    _warn.cache_clear()
    for _ in range(2):
        Settings.from_environ({**LEAST, variable: "canary"})

    (record,) = caplog.records
    shown = variable.replace("\ufeff", r"\ufeff")
    said = f"{shown} is not a known setting and is ignored. {advice}"
    assert (record.name, record.levelname, record.getMessage()) == ("convostate", "WARNING", said)


def test_the_settings_variables_and_those_of_others_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = dict.fromkeys(
        ["CONVOY_KEYS", "STATE_PATHS", "PATH", "TWILIO_AUTH_TOKEN_2", "_CONVOSTATE_X"], "x"
    )
    Settings.from_environ({**others, **dict.fromkeys(VARIABLES, ""), **LEAST})

    assert caplog.records == []


def test_settings_can_be_copied_and_replaced() -> None:
    given = settings(paths="/sms")
    shorter = replace(given, lifetime=timedelta(minutes=30))
    assert copy.deepcopy(given).paths == shorter.paths == ("/sms",)


def test_settings_are_frozen_and_a_keyring_may_be_given() -> None:
    given: Any = settings(keys=Keyring.parse(KEY))
    with pytest.raises(FrozenInstanceError):
        given.lifetime = timedelta(hours=1)
    by_place: Any = Settings
    with pytest.raises(TypeError):
        by_place(*[TOKEN, KEY])  # by name only


def test_help_says_what_each_setting_means() -> None:
    shown = inspect.getdoc(Settings) or ""

    for each in SETTINGS:
        assert f"\n    {each.name}: {each.help} ({each.variable})" in shown


def test_help_names_only_settings() -> None:
    shown = inspect.getdoc(Settings)

    assert shown is not None
    listed = shown.partition("\nAttributes:\n")[2].splitlines()
    assert [line.strip().partition(":")[0] for line in listed] == [f.name for f in fields(Settings)]


@pytest.mark.parametrize("name", ["keys", "index_key"])
@pytest.mark.parametrize(
    "given", [KEY.encode(), 5, {KEY: KEY}, object()], ids=["bytes", "number", "dict", "object"]
)
def test_the_error_of_an_invalid_key_says_which_key_to_use(name: str, given: Any) -> None:
    with pytest.raises(UsageError) as raised:
        settings(**{name: given})

    variable = f"CONVOSTATE_{name.upper()}"
    assert str(raised.value) == (
        f"{variable} is not a key. Set {variable} to the key that your other hosts have; "
        "only a new installation makes one, with convostate keygen"
    )


@pytest.mark.parametrize("name", ["keys", "index_key"])
@pytest.mark.parametrize("given", [KEY, [KEY], (KEY,), Keyring.parse(KEY)])
def test_a_key_is_taken_in_each_form(name: str, given: Any) -> None:
    assert getattr(settings(**{name: given}), name).keys[0].kid == Keyring.parse(KEY).keys[0].kid


O9 = {
    "everything missing": ({}, ["TWILIO_AUTH_TOKEN is not set", "CONVOSTATE_KEYS is not set"]),
    "one missing, one wrong, and two that do not go together": (
        {"CONVOSTATE_KEYS": KEY, "CONVOSTATE_PATHS": "sms", "CONVOSTATE_LIFETIME": "5h"},
        ["CONVOSTATE_PATHS has a pattern", "TWILIO_AUTH_TOKEN is not set", "CONVOSTATE_LIFETIME must be from 60 s to 4 h"],
    ),
    "the key missing, and a lifetime that does not go with the store": (
        {"TWILIO_AUTH_TOKEN": TOKEN, "CONVOSTATE_LIFETIME": "5h"},
        ["CONVOSTATE_KEYS is not set", "CONVOSTATE_LIFETIME must be from 60 s to 4 h"],
    ),
    "a wrong key, and a lifetime that no store has": (
        {**LEAST, "CONVOSTATE_KEYS": f"{KEY},x", "CONVOSTATE_STORE": "memory", "CONVOSTATE_LIFETIME": "31d"},
        ["CONVOSTATE_KEYS cannot be used: sealing key 2", "CONVOSTATE_LIFETIME must be from 60 s to 30 days"],
    ),
    "a setting that is wrong has one fault": (
        {**LEAST, "CONVOSTATE_KEYS": "x", "CONVOSTATE_LIFETIME": "x"},
        ["CONVOSTATE_KEYS cannot be used: sealing key 1", "CONVOSTATE_LIFETIME is not a number of s, m, h or d"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", O9)
def test_o9_all_that_is_missing_or_wrong_is_said_at_once(case: str) -> None:
    environ, begins = O9[case]
    with pytest.raises(UsageError) as caught:
        Settings.from_environ(environ)
    faults = str(caught.value).split(".\n")

    assert len(faults) == len(begins)
    for fault, begin in zip(faults, begins, strict=True):
        assert fault.startswith(begin)
        assert last_sentence(UsageError(fault)).startswith(("Set ", "Use "))
    assert [str(fault) for fault in Settings.faults(environ)] == faults
    assert Settings.faults(LEAST) == []


LEFT_OVER = [
    ('"canary"', "in quotes"),
    ("'canary'", "in quotes"),
    ("${CANARY}", "placeholder"),
    ("redis://:${CANARY}@h", "placeholder"),
    ("$(cat canary)", "placeholder"),
    ("<canary>", "placeholder"),
    ("$CANARY", "placeholder"),
    ("{{ canary }}", "placeholder"),
    ("%CANARY%", "placeholder"),
    ("\u201ccanary\u201d", "in quotes"),
    ("`canary`", "in quotes"),
    ("canary # of ours", "comment"),
    ("canary\r\nx", "line break"),
    (r"canary\n", "line break"),
    ("\ufeffcanary", "invisible character"),
    ("canary\u200b", "invisible character"),
]


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_o9_what_env_files_and_templates_leave_is_named(variable: str) -> None:
    for value, named in LEFT_OVER:
        with pytest.raises(UsageError, match=f"^{variable} .*{named}.*. Set {variable} ") as caught:
            Settings.from_environ({**LEAST, variable: value})
        assert "canary" not in str(caught.value).lower()


def test_o9_what_looks_like_those_may_be_part_of_a_secret() -> None:
    secret = "a#b$c%d{{e}}"
    assert settings(shared_keys=f"key={secret}").shared_keys == {"key": secret}


def test_o9_a_line_break_at_the_end_is_named_in_a_field_and_forgiven_in_a_variable() -> None:
    with pytest.raises(UsageError, match=r"^TWILIO_AUTH_TOKEN holds a line break \(\\r or"):
        settings(auth_token=f"{TOKEN}\r")
    assert Settings.from_environ({**LEAST, "TWILIO_AUTH_TOKEN": f"{TOKEN}\r"}).auth_token == TOKEN


@pytest.mark.parametrize("line_break", [",\n  ", ",\r\n", "\n, "])
def test_o9_a_list_may_be_broken_at_its_commas_and_nowhere_else(line_break: str) -> None:
    lists = {
        "TWILIO_AUTH_TOKEN": "",
        "CONVOSTATE_AUTH_TOKENS": f"{TOKEN},{TOKEN[::-1]}",
        "CONVOSTATE_ACCOUNT_TOKENS": f"{ACCOUNT}={TOKEN},{SUB}={TOKEN}",
        "CONVOSTATE_SHARED_KEYS": "one=x,two=y",
        "CONVOSTATE_KEYS": f"{KEY},{OTHER_KEY}",
        "CONVOSTATE_PATHS": "/sms,/voice",
        "CONVOSTATE_OWN_PARAMS": "leadTo,callTo",
    }
    written = {name: value.replace(",", line_break) for name, value in lists.items()}

    broken, whole = Settings.from_environ(written), Settings.from_environ(lists)

    for name in ("auth_tokens", "account_tokens", "shared_keys", "paths", "own_params"):
        assert getattr(broken, name) == getattr(whole, name)
    assert len(broken.keys.keys) == 2
    for name, value in lists.items():
        if value:
            with pytest.raises(UsageError, match=f"^{name} holds a line break"):
                Settings.from_environ({**lists, name: value.replace(",", "\n")})


@pytest.mark.parametrize(
    "wrong", [{}, {"keys": "x"}, {"keys": KEY[:-1]}, {"keys": "A" * 43}, {"keys": 5}]
)
def test_o9_no_advice_makes_a_host_that_is_in_use_lose_its_conversations(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**{"auth_token": TOKEN, **wrong})
    assert "the key that your other hosts have; only a new installation makes one" in str(
        caught.value
    )


def test_o16_no_look_inside_shows_a_secret() -> None:
    given = settings(
        auth_tokens="canary1", account_tokens={SUB: "canary2"}, shared_keys={"canary3": "canary4"}, account_sid=ACCOUNT, index_key=OTHER_KEY,
        store="rediss://canary5:canary6@canary7:6379/0", paths="/sms",
    )  # fmt: skip
    shown = "".join(map(repr, (given, vars(given), given.__dict__.values())))

    assert not any(secret in shown for secret in ("canary", TOKEN, KEY, OTHER_KEY, ACCOUNT, SUB))
    assert "'paths': ('/sms',)" in shown
    assert TOKEN not in vars(given).values()
    assert given.auth_token == TOKEN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("secret", [settings(), settings().keys, settings().keys.keys[0]], ids=type)
def test_o16_what_holds_secrets_refuses_to_be_pickled(secret: object, protocol: int) -> None:
    with pytest.raises(UsageError, match=r"Settings.from_environ\(\)$"):
        pickle.dumps(secret, protocol)
