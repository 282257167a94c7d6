"""Whatever bytes arrive, the parsers, the seal and the URL keep their word."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.__main__ import CORPUS, RUNS, blind
from tests.fuzz.targets import FOREIGN, TARGETS, TOKEN
from tests.test_house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

pytestmark = pytest.mark.slow


def shaped() -> SearchStrategy[bytes]:
    """Bytes made of what the parsers look for."""
    words = st.sampled_from([*b'&=+%;#?/:@\\," \n.', *b"09afAF"]).map(lambda byte: bytes([byte]))
    names = st.sampled_from(
        [b"convostate=", b"From", b"%2B", b"%c3%a9", b"%FF", b"http://", b"\xe9"]
    )
    return st.lists(words | names | st.binary(max_size=4)).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary() | shaped())
def test_any_bytes_keep_the_invariants(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize(
    "path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name} {path.name}"
)
def test_what_fuzzing_has_found_keeps_the_invariants(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_small_and_has_inputs_for_every_target() -> None:
    inputs = list(CORPUS.glob("*/*"))

    assert {path.parent.name for path in inputs} == set(TARGETS)
    assert sum(path.stat().st_size for path in inputs) < 16_384


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_search_finds_nothing(name: str, tmp_path: Path) -> None:
    """Guided by coverage where atheris is installed, else at random."""
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(RUNS), str(tmp_path)],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_a_blind_search_finds_nothing(name: str) -> None:
    blind(name, 300)


def break_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convostate.twilio.form._unescape", lambda text: text)


def break_cookie_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "TOKEN", b"another")


def break_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "from_base64url", lambda _text: FOREIGN["another_pair"])
    monkeypatch.setattr(targets, "CONTEXT", b"")


def break_raw_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "PUBLIC_URL", "https://example.org")


@pytest.mark.parametrize("name", TARGETS)
def test_a_search_finds_what_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    globals()[f"break_{name}"](monkeypatch)

    with pytest.raises((AssertionError, ValueError)):
        blind(name, 2000)


def test_the_token_of_the_corpus_opens() -> None:
    assert (CORPUS / "token" / "raw").read_bytes() == TOKEN
