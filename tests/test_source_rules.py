"""What must be seen in the source, because no run of it would show: timing, and formats that run code."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import convostate

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(convostate.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text(encoding="utf-8"))
           for path in sorted(PACKAGE.rglob("*.py"))}  # fmt: skip
RUN_CODE = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "jsonpickle"}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("name", MODULES)
def test_a42_no_module_imports_a_format_that_runs_code(name: str) -> None:
    tree = MODULES[name]

    assert RUN_CODE & set(imported(tree)) == set()
    assert {"eval", "exec", "__import__", "compile"} & set(called(tree)) == set()


def test_a42_the_rule_would_bite() -> None:
    assert RUN_CODE & set(imported(ast.parse("from pickle import loads\nimport yaml.nodes")))


def function(module: str, name: str) -> ast.FunctionDef:
    [found] = [node for node in ast.walk(MODULES[module])
               if isinstance(node, ast.FunctionDef) and node.name == name]  # fmt: skip
    return found


def secret_comparisons(tree: ast.AST) -> list[str]:
    """Each == and != of something that is called a signature, a digest or a mac."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, (ast.Eq, ast.NotEq)) for operator in node.ops)
        and any(
            word in ast.unparse(node).lower()
            for word in ("sign(", "digest", "mac(", "mac.", "signature")
        )
        and "len(" not in ast.unparse(node)
    ]


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.startswith(("core", "wsgi", "stores"))]
)
def test_a41_no_signature_is_compared_with_an_equals_sign(name: str) -> None:
    assert secret_comparisons(MODULES[name]) == []


def test_a41_the_rule_would_bite() -> None:
    assert secret_comparisons(ast.parse("if signer.sign(raw) == given: pass"))


def test_a41_signatures_are_compared_in_constant_time_and_every_secret_is_tried() -> None:
    verify = function("core/signature.py", "verify")
    [over_signers] = [node for node in ast.walk(verify)
                      if isinstance(node, ast.For) and ast.unparse(node.iter) == "signers"]  # fmt: skip

    assert "hmac.compare_digest" in set(called(over_signers))
    assert not any(
        isinstance(node, (ast.Break, ast.Return, ast.Continue, ast.If))
        for node in ast.walk(over_signers)
    )
    assert "hmac.compare_digest" in set(called(function("core/signature.py", "body_hash_matches")))
