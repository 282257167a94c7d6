"""What a framework's own session keeps, a webhook's session gives back as that one would."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from fractions import Fraction
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import flask
import pytest
from flask import Flask, session
from flask.json.provider import DefaultJSONProvider
from flask.json.tag import JSONTag
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.responses import Response
from werkzeug.datastructures import CombinedMultiDict, ImmutableMultiDict, MultiDict

from convostate import Settings, StateError, state_from
from convostate.asgi import ConversationMiddleware as AsgiMiddleware
from convostate.frameworks.flask import ConvoState
from convostate.testing import TwilioSimulator
from tests.apps.turns import APPS, Turns, flask_app

if TYPE_CHECKING:
    from collections.abc import Callable


class Step(str, Enum):
    NAME = "name"


class Level(IntEnum):
    LOW = 1


class Colour(Enum):
    RED = "red"


class Rights(Flag):
    READ = 1


class Point(NamedTuple):
    x: int
    y: Any


class Cart(dict[str, Any]):
    pass


class Items(list[Any]):
    pass


class Name(str):
    __slots__ = ()


class Number(int):
    pass


class Weight(float):
    pass


@dataclass
class Order:
    item: str


class Lazy:
    """A text that is translated when it is read, as those of Flask-Babel are."""

    def __html__(self) -> str:
        return "later"


DEEP: Any = []
for _ in range(40):
    DEEP = [DEEP]

CYCLE: list[Any] = [Step.NAME]
CYCLE += [CYCLE, CYCLE]

VALUES: dict[str, Any] = {
    "str enum": Step.NAME,
    "int enum": Level.LOW,
    "enum": Colour.RED,
    "flag": Rights.READ,
    "enum in a list": [Step.NAME, {"at": Level.LOW}],
    "enum in a dict subclass": Cart(step=Step.NAME),
    "enum in a tuple": (Step.NAME, 1),
    "ordered dict": OrderedDict(b=1, a=2),
    "default dict": defaultdict(list, a=[1]),
    "counter": Counter("aab"),
    "dict subclass": Cart(a=1),
    "user dict": UserDict(a=1),
    "list subclass": Items([1]),
    "str subclass": Name("a"),
    "int subclass": Number(1),
    "float subclass": Weight(1.5),
    "form": MultiDict([("a", "1"), ("a", "2"), ("b", "3")]),
    "request.form": ImmutableMultiDict([("Body", "hi")]),
    "request.values": CombinedMultiDict([MultiDict({"a": "1"}), MultiDict({"b": "2"})]),
    "naive datetime": datetime(2026, 7, 31, 9, 0, 0, 5),  # noqa: DTZ001  what apps write
    "time": datetime(2026, 7, 31, 9, tzinfo=timezone.utc).timetz(),
    "timedelta": timedelta(1),
    "Markup": Markup("<b>"),
    "Markup in a flash": [("message", Markup("<b>"))],
    "lazy text": Lazy(),
    "named tuple": Point(1, [2]),
    "NaN": math.nan,
    "NaN in a list": [1.5, math.nan],
    "infinity": -math.inf,
    "bool key": {True: 1},
    "None key": {None: 1},
    "float key": {1.5: 1},
    "NaN key": {math.nan: 1},
    "enum key": {Step.NAME: 1},
    "int enum key": {Level.LOW: 1},
    "tuple key": {(1, 2): 1},
    "bool key below": {"a": [{False: 1}]},
    "dict like a tag of Flask's": {" m": "<b>"},
    "tag-like in an odd dict": Cart({" m": "<b>"}),
    "lone surrogate": "\ud800",
    "lone surrogate key": {"\ud800": 1},
    "dataclass": Order("tea"),
    "bytearray": bytearray(b"a"),
    "memoryview": memoryview(b"a"),
    "range": range(2),
    "frozenset": frozenset({1}),
    "deque": deque([1]),
    "complex": 1j,
    "fraction": Fraction(1, 2),
    "NaN decimal": Decimal("NaN"),
    "exception": ValueError("a"),
    "type": int,
    "function": len,
    "object": object(),
    "deep": DEEP,
    "a list that holds itself twice": CYCLE,
}

# Kept as it was put in, where the framework's own session changes or refuses it.
EXACT: dict[str, Any] = {
    "tuple": (1, ("a", [2])),
    "bytes": b"\xff",
    "set": {1},
    "aware datetime": datetime(2026, 7, 31, 9, 0, 0, 5, timezone(timedelta(hours=2))),
    "date": date(2026, 7, 31),
    "decimal": Decimal("1.50"),
    "UUID": UUID(int=1),
    "int key": {1: "a"},
    "dict of two": {" m": 1, "b": 2},
}

# Where an odd value lies in one that is kept exactly, what is around it is kept exactly as well.
DIFFERENCES = {
    "enum in a tuple": ("pyramid django starlette", ("name", 1), "a tuple stays a tuple"),
    "Markup in a flash": (
        "pyramid django starlette",
        [("message", "<b>")],
        "a tuple stays a tuple",
    ),
}


def with_types(value: Any) -> Any:
    """What equals only a value with the same types in it; NaN equals NaN."""
    if isinstance(value, dict):
        items = [(with_types(key), with_types(item)) for key, item in value.items()]
        return type(value), items
    if isinstance(value, (list, tuple)):
        return type(value), [with_types(item) for item in value]
    return type(value), repr(value) if isinstance(value, float) else value


def put(**items: Any) -> Callable[[Any], Any]:
    return lambda session: session.update(items)


def kept(put: Callable[[Callable[[Any], Any]], Any], value: Any) -> Any:
    """What a session gives back of a value in the next request; an error that it raises."""
    try:
        put(lambda session: session.__setitem__("value", value))
        return with_types(put(lambda session: session["value"]))
    except (AssertionError, Exception) as error:  # noqa: BLE001  # any refusal: they are compared
        return error


@pytest.mark.parametrize("framework", APPS)
def test_p13_a_value_comes_back_as_from_the_frameworks_own_session(framework: str) -> None:
    wrong = {}
    for name, value in VALUES.items():
        turns = Turns(APPS[framework])
        theirs, ours = kept(turns.visit, value), kept(turns.turn, value)
        frameworks, instead, _why = DIFFERENCES.get(name, ("", None, ""))
        if framework in frameworks:
            theirs = with_types(instead)
        if isinstance(theirs, Exception):
            theirs = ours if isinstance(ours, (StateError, AssertionError)) else "refused"
        if ours != theirs:
            wrong[name] = (ours, theirs)

    assert wrong == {}


@pytest.mark.parametrize("framework", APPS)
def test_p13_a_value_that_is_kept_exactly_stays_so_beside_one_that_is_not(framework: str) -> None:
    for name, value in EXACT.items():
        turns = Turns(APPS[framework])
        turns.turn(put(x=[value, Step.NAME]))

        back = turns.turn(lambda session: session["x"])
        assert with_types(back) == with_types([value, "name"]), name


@pytest.mark.parametrize("framework", APPS)
def test_p13_a_top_level_key_comes_back_as_from_the_frameworks_own_session(framework: str) -> None:
    turns = Turns(APPS[framework])
    turns.turn(lambda session: session.update({"a": 1}))
    for key in (None, True, 1.5, Step.NAME):
        turns.turn(methodcaller("update", {key: 1}))

    keys = turns.turn(lambda session: list(session.keys()))
    assert keys == ["a", "null", "true", "1.5", "name"]


@pytest.mark.parametrize("framework", APPS)
def test_p13_in_the_turn_itself_a_value_is_what_was_put_in(framework: str) -> None:
    cart = Cart(items=[Step.NAME])

    def look(session: Any) -> None:
        session["cart"] = cart
        assert session["cart"] is cart
        session["cart"]["items"].append(Level.LOW)

    turns = Turns(APPS[framework])
    turns.turn(look)

    assert cart == {"items": [Step.NAME, Level.LOW]}
    assert type(cart["items"][0]) is Step
    assert turns.turn(lambda session: session["cart"]) == {"items": ["name", 1]}


@pytest.mark.parametrize("store", ["memory", "cookie"])
def test_p13_markup_lasts_through_turns_that_do_not_look_at_it(store: str) -> None:
    turns = Turns(flask_app, store=store)
    turns.turn(lambda session: session.update(at=[Markup("<b>")], n=math.nan))
    turns.turn()
    turns.turn(lambda session: session.update(other=1))
    turns.turn(lambda _session: state_from(flask.request.environ).update(more=2))

    at, n = turns.turn(lambda session: (session["at"], session["n"]))
    assert with_types(at) == with_types([Markup("<b>")])
    assert math.isnan(n)


def test_p13_a_dict_that_looks_like_a_tag_never_becomes_markup() -> None:
    """Else a JSON body that an app keeps could bring its own HTML."""
    turns = Turns(flask_app)
    for given in (json.loads('{" m": "<script>"}'), Cart({" m": "<script>"}), {" di": {" m": "x"}}):
        turns.turn(put(given=given, odd=Step.NAME))

        assert with_types(turns.turn(lambda session: session["given"])) == with_types(dict(given))


ADVICE = {
    "str enum": r"Step\. Write its \.value",
    "int enum": r"Level\. Write its \.value",
    "enum": r"Colour\. Write its \.value",
    "ordered dict": r"OrderedDict\. Write dict\(…\)",
    "request.form": r"ImmutableMultiDict\. Write dict\(…\)",
    "named tuple": r"Point\. Write tuple\(…\)",
    "list subclass": r"Items\. Write list\(…\)",
    "Markup": r"Markup\. Write str\(…\)",
    "int subclass": r"Number\. Write int\(…\)",
    "frozenset": r"frozenset\. Write set\(…\)",
    "bytearray": r"bytearray\. Write bytes\(…\)",
    "naive datetime": r"time zone\. Write one with, such as datetime\.now\(timezone\.utc\)",
    "timedelta": r"timedelta\. Write its \.total_seconds\(\)",
    "dataclass": r"Order\. Write dataclasses\.asdict\(…\)",
    "NaN": r"not a number, which never equals itself\. Write None",
    "NaN decimal": r"not finite\. Write None",
    "bool key": r"key of type bool; keys are str or int\. Write str\(…\)",
    "enum key": r"key of type Step; keys are str or int\. Write its \.value",
    "object": r"object\. Write what you need of it as str, int, list or dict",
}


@pytest.mark.parametrize("name", ADVICE)
def test_p13_in_state_from_it_is_an_error_that_says_what_to_write_instead(name: str) -> None:
    turns = Turns(flask_app)

    def write(session: Any) -> None:
        session["step"] = Step.NAME  # the session's own are kept in the same turn
        state_from(flask.request.environ)["x"] = [VALUES[name]]

    with pytest.raises(
        StateError, match=rf"^the state cannot be kept: at \$\.x\[0\] is .*{ADVICE[name]}"
    ):
        turns.turn(write)


def test_p13_beside_a_session_of_starlette_state_from_sees_its_writes_and_stays_strict() -> None:
    app = Starlette()
    app.add_middleware(AsgiMiddleware, settings=Settings.from_environ(store="memory"))
    phone = TwilioSimulator(app, webhook_url="https://example.com/turn").phone("+15550100001")
    seen: list[Any] = []

    async def write(request: Any) -> Response:
        state, session = state_from(request.scope), request.session
        session["step"] = Step.NAME
        state["n"] = [state.get("step")]
        seen.append(json.dumps(session))
        del state["n"]
        assert "n" not in session
        if len(seen) > 1:
            state["x"] = [Step.NAME]
        return Response("<Response/>", media_type="text/xml")

    app.add_route("/turn", write, methods=["POST"])
    assert phone.text("hi").state == {"step": "name"}
    assert seen == ['{"step": "name", "n": ["name"]}']
    with pytest.raises(StateError, match=r"at \$\.x\[0\] is .*Step\. Write its \.value"):
        phone.text("hi")


def wrapped(app: Flask, step: Callable[[], Any]) -> Callable[[], Any]:
    """What `step` returns in each webhook of a Flask app."""
    results: list[Any] = []

    def view() -> str:
        results.append(step())
        return "<Response/>"

    app.add_url_rule("/turn", view_func=view, methods=["POST"])
    app.testing = True
    ConvoState(app, Settings.from_environ(store="memory"))
    phone = TwilioSimulator(app, webhook_url="https://example.com/turn").phone("+15550100001")

    def text() -> Any:
        assert phone.text("hi").status == 200
        return results[-1]

    return text


def test_p13_the_apps_own_json_provider_and_tags_are_asked() -> None:
    class Provider(DefaultJSONProvider):
        @staticmethod
        def default(value: Any) -> Any:
            return value.name if isinstance(value, Colour) else DefaultJSONProvider.default(value)

    class OrderedTag(JSONTag):
        key = " od"

        def check(self, value: Any) -> bool:
            return isinstance(value, OrderedDict)

        def to_json(self, value: Any) -> Any:
            return [[key, self.serializer.tag(item)] for key, item in value.items()]

        def to_python(self, value: Any) -> Any:
            return OrderedDict(value)

    def step() -> Any:
        before = dict(session)
        session.update(colour=Colour.RED, order=OrderedDict(b=1, a=2))
        return before

    from flask.json.tag import TaggedJSONSerializer
    from flask.sessions import SecureCookieSessionInterface

    app = Flask(__name__)
    app.json = Provider(app)
    interface = SecureCookieSessionInterface()
    interface.serializer = TaggedJSONSerializer()
    interface.serializer.register(OrderedTag, index=0)
    app.session_interface = interface
    text = wrapped(app, step)

    assert text() == {}
    back = text()
    assert back["colour"] == "RED"
    assert with_types(back["order"]) == with_types(OrderedDict(b=1, a=2))


def test_p13_a_lazy_text_is_translated_while_the_request_is_there() -> None:
    class Translated:
        def __html__(self) -> str:
            return f"in the language of {flask.request.path}"

    app = Flask(__name__)
    text = wrapped(app, lambda: (session.get("text"), session.update(text=[Translated()]))[0])

    text()
    assert text() == ["in the language of /turn"]


def test_p13_a_state_too_large_for_a_cookie_names_its_heaviest_keys_all_the_same() -> None:
    turns = Turns(flask_app, store="cookie")

    with pytest.raises(StateError, match=r"heaviest keys: log \(50"):
        turns.turn(put(step=Step.NAME, log="x" * 5000))


@pytest.mark.parametrize("framework", APPS)
def test_p12_a_sessions_list_is_trimmed_with_what_only_the_session_can_keep(framework: str) -> None:
    turns = Turns(APPS[framework], store="memory", trim="log", max_state_bytes=2000)
    texts = [Markup("<b>").ljust(40) + str(number) for number in range(60)]
    turns.turn(put(log=list(texts)))

    back = turns.turn(lambda session: list(session["log"]))
    assert 10 < len(back) < 60
    assert back == texts[-len(back) :]
