"""A webhook's session beside the framework's own and beside a dict, expression by expression.

What is left of differences is listed, with its reason, and a listed one that is gone fails as well.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from flask.sessions import SecureCookieSession
from pyramid.request import Request
from pyramid.session import SignedCookieSessionFactory
from starlette.middleware import sessions

from tests.apps import django_project
from tests.apps.turns import APPS, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = {"a": 1, "b": [2], "c": None, 7: "seven"}

READING = """
s["a"]
s["b"]
s["c"]
s[7]
s["missing"]
s[None]
s[[]]
s["b"][0]
s["b"] is s["b"]
s.get("a")
s.get("missing")
s.get("missing", 3)
s.get("a", 3)
s.get([])
s.get()
"a" in s
"missing" in s
"a" not in s
7 in s
"7" in s
None in s
[] in s
len(s)
bool(s)
not s
s is None
list(s)
tuple(s)
set(s) == {"a", "b", "c", 7}
list(iter(s))
next(iter(s))
list(reversed(s))
enumerate(s).__next__()
list(zip(s, s))
dict(s)
dict(s.items())
dict(s, d=4)
{**s}
(lambda **items: items)(**{k: v for k, v in s.items() if isinstance(k, str)})
[*s]
max(map(str, s))
sorted(map(str, s))
list(s.keys())
list(s.values())
list(s.items())
len(s.keys())
len(s.values())
len(s.items())
list(reversed(s.keys()))
list(reversed(s.values()))
list(reversed(s.items()))
"a" in s.keys()
1 in s.values()
("a", 1) in s.items()
("a", 2) in s.items()
s.keys() == {"a", "b", "c", 7}
s.keys() & {"a", "x"}
s.keys() | {"x"} == {"a", "b", "c", 7, "x"}
s.keys() - {"a", "b"} == {"c", 7}
s.keys() ^ {"a", "x"} == {"b", "c", 7, "x"}
s.keys() <= {"a", "b", "c", 7}
s.keys() >= {"a"}
s.keys().isdisjoint({"x"})
s.items() >= {("a", 1)}
s.items() & {("a", 1)}
iter(s.items()).__next__()
s == {"a": 1, "b": [2], "c": None, 7: "seven"}
s == {"a": 1}
s != {"a": 1}
{"a": 1} == s
{"a": 1, "b": [2], "c": None, 7: "seven"} == s
s == s
s == None
s == [1]
s == 1
s < {}
s > s
isinstance(hash(s), int)
s()
s + {}
s | {"d": 4}
s | {"a": 0}
s | {}
s | [("d", 4)]
s | None
s | s
{"d": 4} | s
{"a": 0} | s
{} | s
[1] | s
None | s
s.__or__([])
s & {}
s - {}
s.copy()
s.copy() is s
s.copy()["b"] is s["b"]
type(s.copy()) is dict
type(s | {}) is dict
type({} | s) is dict
s.copy("x")
copy.copy(s) == {"a": 1, "b": [2], "c": None, 7: "seven"}
copy.deepcopy(s)["b"] == [2]
copy.deepcopy(s)["b"] is s["b"]
isinstance(s, Mapping)
isinstance(s, MutableMapping)
isinstance(s, dict)
json.dumps(dict(s))
json.dumps(s)
"{a}".format_map(s)
"{0[a]}".format(s)
"%(a)s" % s
any(v == 1 for v in s.values())
[k for k in s if k == "a"]
{k: v for k, v in s.items() if v == 1}
[v for k, v in sorted(s.items(), key=str)]
sum(v for v in s.values() if isinstance(v, int))
{v: k for k, v in s.items() if isinstance(v, int)}
str(s)[:1] == "{"
s.missing
s.__missing__("a")
s.fromkeys(["a"])
s.has_key("a")
s.iteritems()
dict.fromkeys(s)
dict.fromkeys(s, 0)
ChainMap({"z": 1}, s)["a"]
ChainMap(s)["missing"]
dict(ChainMap({"a": 0}, s))["a"]
MappingProxyType(s)["a"]
operator.itemgetter("a")(s)
operator.contains(s, "a")
operator.length_hint(s)
iter(s).__length_hint__()
s.__len__()
s.__contains__("a")
s.__getitem__("a")
s.__class__ is type(s)
s.keys().mapping["a"]
s.values().mapping["a"]
s.items().mapping["a"]
s["b"].append(3)
s["b"].extend([3, 4])
s["b"].pop()
s["b"].clear()
s["b"].__setitem__(0, "two")
s.get("b").append(3)
s.setdefault("b", []).append(3)
[item.append(3) for item in s.values() if isinstance(item, list)]
[v.append(3) for k, v in s.items() if isinstance(v, list)]
next(v for v in s.values() if isinstance(v, list)).append(3)
"""

WRITING = """
s["d"] = 4
s["a"] = 2
s["a"] += 1
s["b"] += [3]
s["missing"] += 1
s[None] = 1
s[True] = 1
s[1.5] = 1
s[8] = 1
s[(1, 2)] = 1
s[[]] = 1
s["d"], s["e"] = 4, 5
s["d"] = s["a"] = 9
s["d"] = s["b"]
s["n"] = {}; s["n"]["m"] = 1
s["n"] = {"m": {}}; s["n"]["m"]["o"] = 1
s["n"] = n = []; n.append(1)
del s["a"]
del s["missing"]
del s["a"], s["b"]
del s[7]
del s["b"][0]
r = s.pop("a")
r = s.pop("missing")
r = s.pop("missing", None)
r = s.pop("missing", 5)
r = s.pop("a", 5)
r = s.pop("missing", default=5)
r = s.pop()
r = s.pop("a", 1, 2)
r = s.pop(7)
r = s.popitem()
r = s.popitem(), s.popitem()
s["d"] = 4; r = s.popitem()
s["a"] = 5; r = s.popitem()
s.clear(); r = s.popitem()
r = s.popitem("a")
r = s.setdefault("a")
r = s.setdefault("a", 5)
r = s.setdefault("d")
r = s.setdefault("d", 5)
r = s.setdefault("d", []); r.append(1)
r = s.setdefault("d", default=5)
r = s.setdefault()
r = s.setdefault("c", 5)
r = s.clear()
s.clear(); s["z"] = 1
s.clear(); r = len(s), bool(s), list(s.items())
r = s.update({"d": 4})
s.update({"a": 2})
s.update(d=4)
s.update(a=2, d=4)
s.update({"d": 4}, e=5)
s.update([("d", 4), ("a", 0)])
s.update((("d", 4),))
s.update(zip("de", (4, 5)))
s.update(iter([("d", 4)]))
s.update({}.items())
s.update({"self": 1})
s.update(other=1)
s.update()
s.update(5)
s.update("x")
s.update(["x"])
s.update([("x", 1, 2)])
s.update({}, {})
s.update(s)
s.update({k: 0 for k in s})
s.update(OrderedDict(d=4))
s.update(ChainMap({"d": 4}))
s |= {"d": 4}
s |= {"a": 2}
s |= {"a": 2, "d": 4}
s |= {}
s |= [("d", 4)]
s |= [("d", 4), ("a", 0)]
s |= zip("de", (4, 5))
s |= None
s |= 5
s |= ["x"]
s |= s
s |= {"d": 4}; s["e"] = 5
s["e"] = 5; s |= {"e": 6}
s |= {"d": []}; s["d"].append(1)
before = s; s |= {"d": 4}; r = before is s
r = s.__ior__({"d": 4}) is s
r = operator.ior(s, {"d": 4}) is s
s.__ior__([("d", 4)])
s = s | {"d": 4}; r = dict(s)
r = {"d": 4}; r |= s
r = {"d": 4}; r.update(s)
r = {**s, "d": 4}
r = dict(s); r["a"] = 2
r = s.copy(); r["a"] = 2
r = s.copy(); r["b"].append(3)
r = copy.deepcopy(dict(s)); r["b"].append(3)
for k in list(s): del s[k]
for k in s: s["new"] = 1
for k in s: del s[k]
for k in s: s[k] = 0
for k, v in s.items(): s[k] = v
for k in list(s.keys()): s.pop(k)
r = [s.pop(k) for k in ("a", "b")]
k = s.keys(); s["d"] = 4; r = "d" in k
k = s.items(); s["d"] = 4; r = ("d", 4) in k
k = s.values(); s["d"] = 4; r = 4 in k
k = iter(s); s["d"] = 4; next(k)
operator.setitem(s, "d", 4)
operator.delitem(s, "a")
s.__setitem__("d", 4)
s.__delitem__("a")
ChainMap(s)["d"] = 4
del ChainMap(s)["a"]
(s.update({"d": 4}), s.pop("a"))
s["d"] = (r := s.get("a", 0) + 1)
s["d"] = s.pop("a")
r = s.setdefault("n", {}).setdefault("m", []); r.append(1)
r = s.get("n", {}); r["m"] = 1
try: s["x"]\nexcept KeyError: s["x"] = 1
if "x" not in s: s["x"] = 1
if s.get("a") == 1: del s["a"]
while s: s.popitem()
match s:\n case {"a": a, **rest}: r = a, rest
match s:\n case {"missing": _}: r = 1\n case _: r = 2
r = len(s); s["d"] = 4; r = r, len(s)
s["d"] = 4; del s["d"]; s["d"] = 5
s["a"] = s["a"]
s["b"] = [*s["b"], 3]
s["b"] = list(reversed(s["b"]))
"""

NAMES = (
    "from collections import ChainMap, OrderedDict\n"
    "from collections.abc import Mapping, MutableMapping\n"
    "from types import MappingProxyType\n"
    "import copy, json, operator\n"
)

# What is left of differences: from what, in which frameworks, and why. Django's own session is not a
# mapping, so it is compared with that alone.
DIFFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    "from both": {
        's.values().mapping["a"]': ("flask pyramid django starlette", "a view of a view"),
        's.items().mapping["a"]': ("flask pyramid django starlette", "a view of a view"),
        'r = s.pop("missing", default=5)': ("pyramid starlette", "takes the argument's name"),
        'r = s.setdefault("d", default=5)': ("pyramid", "takes the argument's name"),
        'str(s)[:1] == "{"': ("pyramid starlette", "shows no values"),
        'copy.deepcopy(s)["b"] == [2]': ("django", "a test's clock cannot be copied"),
        'copy.deepcopy(s)["b"] is s["b"]': ("django", "a test's clock cannot be copied"),
    },
    "from the framework's own": {
        's.fromkeys(["a"])': ("flask pyramid starlette", "gives a dict"),
        'copy.deepcopy(s)["b"] == [2]': ("pyramid", "gives a dict"),
        'copy.deepcopy(s)["b"] is s["b"]': ("pyramid", "gives a dict"),
    },
    "from a dict": {
        'str(s)[:1] == "{"': ("flask", "shows no values"),
        'r = s.pop("missing", default=5)': ("flask", "takes the argument's name"),
        'r = s.setdefault("d", default=5)': ("flask starlette", "takes the argument's name"),
    },
    "in `modified`": {},
}


def outcome(line: str, session: Any) -> Any:
    """What a line gives or raises, what is in the session afterwards, and whether it is `modified`."""
    line = line.replace("\\n", "\n")
    names: dict[str, Any] = {"s": session, "r": None}
    exec(NAMES, names)  # noqa: S102  # our own table
    try:
        if line in READING:
            names["r"] = eval(line, names)  # noqa: S307  # our own table
        else:
            exec(line, names)  # noqa: S102  # our own table
    except Exception as error:  # noqa: BLE001  # what a session raises is compared
        result: Any = type(error).__name__
        modified = None  # nothing is written then
    else:
        result = names["r"]
        modified = getattr(session, "modified", None)
    return (plain(result), [(key, plain(value)) for key, value in session.items()]), modified


def plain(value: Any) -> Any:
    """A value that can be compared after the session has changed."""
    try:
        return type(value).__name__, copy.deepcopy(value)
    except TypeError:
        return type(value).__name__


def outcomes(session: Any) -> dict[str, Any]:
    """The outcome of each line, on the same items."""
    found = {}
    for line in filter(None, (READING + WRITING).split("\n")):
        session.clear()
        session.update(copy.deepcopy(SEED))
        if hasattr(session, "modified"):
            session.modified = False
        found[line] = outcome(line, session)
    session.clear()
    return found


def flasks() -> Any:
    return SecureCookieSession()


def pyramids() -> Any:
    return SignedCookieSessionFactory("an example")(Request.blank("/"))


def djangos() -> Any:
    django_project.configure()
    from django.contrib.sessions.backends.signed_cookies import SessionStore

    return SessionStore()


THEIRS: dict[str, Callable[[], Any]] = {
    "flask": flasks,
    "pyramid": pyramids,
    "django": djangos,
}
if hasattr(sessions, "Session"):  # before Starlette 1.0 its session is a dict
    THEIRS["starlette"] = sessions.Session


@pytest.mark.parametrize("framework", THEIRS)
def test_e14_a_session_gives_what_the_frameworks_own_and_a_dict_give(framework: str) -> None:
    def run(session: Any) -> dict[str, Any]:
        return outcomes(getattr(session, "_get_current_object", lambda: session)())

    ours = Turns(APPS[framework]).turn(run)
    theirs, plain_dict = outcomes(THEIRS[framework]()), outcomes({})
    assert len(ours) > 280

    different: dict[str, set[str]] = {kind: set() for kind in DIFFERENCES}
    for line, (got, modified) in ours.items():
        own, own_modified = theirs[line]
        as_a_dict = got == plain_dict[line][0]
        if got != own:
            different["from the framework's own" if as_a_dict else "from both"].add(line)
        elif not as_a_dict and framework != "django":
            different["from a dict"].add(line)
        if got == own and (bool(modified) < bool(own_modified) or (modified and line in READING)):
            different["in `modified`"].add(line)

    assert different == {
        kind: {line for line, (frameworks, _why) in lines.items() if framework in frameworks}
        for kind, lines in DIFFERENCES.items()
    }
