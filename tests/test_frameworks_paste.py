"""`[filter:convostate] use = egg:convostate`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from paste.deploy import loadapp

from convostate import ConversationMiddleware, UsageError
from convostate.demo import counter
from convostate.testing import TwilioSimulator
from tests.documentation import page

if TYPE_CHECKING:
    from pathlib import Path

INI = """\
[DEFAULT]
note = belongs to all sections

[pipeline:main]
pipeline = convostate counter

[filter:convostate]
use = egg:convostate
{settings}

[app:counter]
paste.app_factory = tests.test_frameworks_paste:make_counter
"""


def make_counter(_global_conf: Any) -> Any:
    return counter.count


def load(directory: Path, *settings: str) -> Any:
    ini = directory / "app.ini"
    ini.write_text(INI.format(settings="\n".join(settings)), encoding="utf-8")
    return loadapp(f"config:{ini}")


def test_the_example_of_the_docs_wraps_an_app(tmp_path: Path) -> None:
    [example] = re.findall(
        r"^```ini\n(.*?)^```$", page("frameworks/pyramid"), re.MULTILINE | re.DOTALL
    )
    app = "[app:myapp]\npaste.app_factory = tests.test_frameworks_paste:make_counter\n"
    (tmp_path / "app.ini").write_text(f"{example}\n{app}", encoding="utf-8")
    loaded = loadapp(f"config:{tmp_path / 'app.ini'}")

    assert loaded.settings.paths == ("/sms",)
    assert TwilioSimulator(loaded).phone("+15550100001").text("hi").status == 200


def test_without_settings_the_environment_is_read(tmp_path: Path) -> None:
    app = load(tmp_path)

    assert isinstance(app, ConversationMiddleware)
    phone = TwilioSimulator(app).phone("+15550100001")
    assert [phone.text("hi").messages[0].split()[2] for _ in range(2)] == ["1", "2"]


def test_the_sections_settings_go_before_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVOSTATE_LIFETIME", "90s")
    monkeypatch.setenv("CONVOSTATE_COOKIE_NAME", "from_environ")
    app = load(tmp_path, "auth_token = another", "lifetime = 2h", "paths = /sms, /voice/*")

    assert app.settings.lifetime == timedelta(hours=2)
    assert app.settings.paths == ("/sms", "/voice/*")
    assert app.settings.cookie_name == "from_environ"
    assert TwilioSimulator(app).phone("+15550100001").text("hi").status == 403
    assert TwilioSimulator(app, "another").phone("+15550100001").text("hi").status == 200


@pytest.mark.parametrize(
    ("setting", "message"),
    [("lifetyme = 2h", "There is no setting lifetyme. Write lifetime"),
     ("expiry = 2h", "There is no setting expiry. Use one of: auth_token, "),
     ("lifetime = 5h", "CONVOSTATE_LIFETIME"),
     ("environ = x", "There is no setting environ")],
)  # fmt: skip
def test_a_wrong_setting_stops_the_server_and_is_named(
    tmp_path: Path, setting: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load(tmp_path, setting)
