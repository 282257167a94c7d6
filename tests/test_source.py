"""What must never stand in the source: comparisons that tell how much was right, and formats that run code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import convostate
from convostate.errors import RequestError
from convostate.twilio.form import Form
from convostate.twilio.signature import Signer, sign, verify
from tests.served import TOKEN, URL

PACKAGE = Path(convostate.__file__).parent
SOURCES = {
    str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
SECRET_WORDS = ("signature", "given", "digest", "mac", "secret", "tag")
PLAYING_TWILIO = ("testing/", "phone/", "cli/", "demo/")  # they make signatures and judge none
SERIALIZERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "yaml",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "joblib",
}


def words(node: ast.AST) -> set[str]:
    """The names in an expression, and the attributes."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)
    }


def is_length(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def leaking_comparisons(tree: ast.AST) -> list[str]:
    """Comparisons by `==`, `!=` or `in` of what only the right secret makes; with a constant nothing leaks."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        names = {name.lower() for side in sides if not is_length(side) for name in words(side)}
        if (
            all(isinstance(op, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)) for op in node.ops)
            and not any(isinstance(side, ast.Constant) for side in sides)
            and any(name in SECRET_WORDS for name in names)
        ):
            found.append(ast.unparse(node))
    return found


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Call) and words(node.func) & {"__import__", "import_module"}:
            names |= {
                arg.value.partition(".")[0]
                for arg in node.args
                if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            }
    return names


JUDGING = [name for name in SOURCES if not name.startswith(PLAYING_TWILIO)]


def test_a41_no_signature_is_compared_by_a_comparison_that_ends_early() -> None:
    assert JUDGING
    assert {name: found for name in JUDGING if (found := leaking_comparisons(SOURCES[name]))} == {}


def test_a41_such_a_comparison_is_found() -> None:
    for leak in (
        "signature == expected",
        "signer.sign(raw) == given",
        "given in signatures",
        "mac.digest() != other",
    ):
        assert leaking_comparisons(ast.parse(leak)) == [leak]
    for fine in (
        "hmac.compare_digest(signature, given)",
        "signature == ''",
        "len(given) in CHARS",
        "algorithm == HMAC_SHA256",
    ):
        assert leaking_comparisons(ast.parse(fine)) == []


def test_a41_the_signature_and_the_body_hash_are_compared_in_constant_time() -> None:
    functions = {
        node.name: node
        for node in ast.walk(SOURCES["twilio/signature.py"])
        if isinstance(node, ast.FunctionDef)
    }
    for name in ("verify", "body_hash_matches"):
        assert "compare_digest" in words(functions[name])


def test_a41_no_loop_over_the_secrets_ends_early() -> None:
    functions = {
        node.name: node
        for node in ast.walk(SOURCES["twilio/signature.py"])
        if isinstance(node, ast.FunctionDef)
    }
    loops = [
        node
        for node in ast.walk(functions["verify"])
        if isinstance(node, ast.For) and "signers" in words(node.iter)
    ]
    assert loops
    for loop in loops:
        assert not [
            node
            for node in ast.walk(loop)
            if isinstance(
                node,
                (ast.Return, ast.Break, ast.Continue, ast.If, ast.IfExp, ast.BoolOp, ast.Raise),
            )
        ]


class Counting(Signer):
    """Counts how often it is asked."""

    __slots__ = ("asked",)

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self.asked = 0

    def sign(self, signed: bytes) -> bytes:
        self.asked += 1
        return super().sign(signed)


@pytest.mark.parametrize("right", [0, 1, 2])
def test_a41_every_secret_is_tried_whichever_is_right(right: int) -> None:
    tokens = ["x", "y", "z"]
    tokens[right] = TOKEN
    signers = [Counting(token) for token in tokens]
    verify(URL, Form({}, None), sign(URL, [], TOKEN), signers)
    assert [signer.asked for signer in signers] == [1, 1, 1]

    with pytest.raises(RequestError):
        verify(URL, Form({}, None), sign(URL, [], "w"), signers)
    assert [signer.asked for signer in signers] == [3, 3, 3]  # both spellings of the URL


def runs_code(tree: ast.AST) -> set[str]:
    """What a source imports or calls that runs what it reads."""
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return imported(tree) & SERIALIZERS | called & {"eval", "exec"}


def test_a42_nothing_that_runs_what_it_reads_is_imported_or_called() -> None:
    assert {name: found for name, tree in SOURCES.items() if (found := runs_code(tree))} == {}


def test_a42_such_an_import_or_call_is_found() -> None:
    for source in (
        "import pickle",
        "import yaml.loader",
        "from marshal import loads",
        "import_module('dill')",
        "__import__('shelve')",
        "eval(text)",
        "exec(text)",
    ):
        assert runs_code(ast.parse(source)), source
    assert not runs_code(
        ast.parse("import json\nfrom cbor2 import loads\nimport_module('click')\nre.compile(x)")
    )
