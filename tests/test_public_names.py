"""What `import convostate` gives, and what it costs: a contract with programs outside this repository."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import convostate
import convostate.stores

NAMES = {
    "Answering", "AsyncConversations", "ConversationMiddleware", "Conversations", "Settings", "State", "Webhook", "PhonePair", "Keyring",
    "state_from", "webhook_from",
    "ConvostateError", "UsageError", "RequestError", "SealError", "StateError", "StoreError",
    "OptedOutError", "ConversationExistsError",
}  # fmt: skip

# A fresh interpreter: which modules came, and how long the two imports took, in seconds.
PROBE = """
import json, sys, time
began = time.perf_counter()
import werkzeug
after_werkzeug = time.perf_counter()
import convostate
from convostate import *
ended = time.perf_counter()
print(json.dumps([sorted(sys.modules), after_werkzeug - began, ended - after_werkzeug]))
"""

# Which modules on deferred texts a store loads, before and after it is asked to keep some.
STORES_PROBE = """
import json, sys
from convostate.stores import RedisStore
store = RedisStore.from_url("redis://localhost")
before = [name for name in sys.modules if name.startswith("convostate.") and "work" in name]
store.work
after = [name for name in sys.modules if name.startswith("convostate.") and "work" in name]
print(json.dumps([before, sorted(after)]))
"""


def test_the_package_gives_exactly_its_public_names() -> None:
    assert set(convostate.__all__) == NAMES
    assert len(convostate.__all__) == len(NAMES)
    assert all(getattr(convostate, name).__name__ == name for name in NAMES)


def test_the_stores_are_public_too() -> None:
    names = ["CookieStore", "MemoryStore", "RedisStore", "Store"]

    assert sorted(convostate.stores.__all__) == names
    assert all(getattr(convostate.stores, name).__name__ == name for name in names)


def test_a_name_that_is_not_public_is_not_an_attribute() -> None:
    assert dir(convostate) == sorted(NAMES)
    with pytest.raises(AttributeError, match="Conversation_Middleware"):
        convostate.Conversation_Middleware  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_loads_no_extra_and_no_command_line() -> None:
    probed = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    )
    modules, werkzeug_s, convostate_s = json.loads(probed.stdout)
    sys.stdout.write(
        f"werkzeug {werkzeug_s * 1e3:.0f} ms, convostate {convostate_s * 1e3:.0f} ms more"
    )

    assert "convostate.conversations" in modules
    loaded = {module.partition(".")[0] for module in modules}
    assert loaded & {"redis", "hiredis", "twilio", "click", "flask", "convostate.testing"} == set()
    assert not [m for m in modules if m.startswith(("convostate.testing", "convostate.cli"))]


def test_the_redis_store_loads_what_keeps_deferred_texts_only_for_apps_that_defer() -> None:
    probed = subprocess.run(
        [sys.executable, "-c", STORES_PROBE], capture_output=True, text=True, check=True
    )
    before, after = json.loads(probed.stdout)

    assert before == []
    assert after == ["convostate.stores.redis.work", "convostate.stores.work"]


# Whether the module on deferred texts is loaded: after turns and messages of the app, and after a deferred text.
REPLIES_PROBE = """
import sys
from convostate import Conversations, Keyring, Settings, stores
settings = Settings(auth_token="t", keys=Keyring.generate(), store="memory", account_sid="AC" + "0" * 32)
conversations = Conversations(settings, store=stores.MemoryStore(), client=print)
with conversations.turn(ours="+15550100099", theirs="+15550100001") as state:
    state["step"] = 1
class client: messages = type("", (), {"create": dict})
conversations.start(client, from_="+15550100099", to="+15550100001", body="hello")
print("convostate.replies" in sys.modules)
conversations.answers(lambda turn: None)
print("convostate.replies" in sys.modules)
"""


def test_turns_and_messages_of_the_app_load_nothing_of_deferred_texts() -> None:
    probed = subprocess.run(
        [sys.executable, "-c", REPLIES_PROBE], capture_output=True, text=True, check=True
    )

    assert probed.stdout.split() == ["False", "True"]


# Whether Werkzeug is loaded: after a cookie as Twilio sends it, and after two that a server has joined.
COOKIES_PROBE = """
import sys
from convostate import ConversationMiddleware, Keyring, Settings
from convostate.stores.base import Claim, Keep
app = lambda environ, start_response: []
store = ConversationMiddleware(app, Settings(auth_token="t", keys=Keyring.generate())).store
begun = store.begin(Claim(""), "", 0)
((_, cookie),) = store.commit(begun, Keep(bytes(200), 60), None, 0)
cookie = cookie.partition(";")[0]
for each in (cookie, f"other=1,{cookie}"):
    assert store.begin(Claim(""), each, 0).token == bytes(200)
    print("werkzeug" in sys.modules)
"""


def test_a_cookie_as_twilio_sends_it_loads_nothing_of_werkzeug() -> None:
    probed = subprocess.run(
        [sys.executable, "-c", COOKIES_PROBE], capture_output=True, text=True, check=True
    )

    assert probed.stdout.split() == ["False", "True"]
