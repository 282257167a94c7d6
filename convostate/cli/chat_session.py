"""A chat with an app: what is typed, what it leads to, and how both are shown."""

from __future__ import annotations

import json
import re
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from convostate.cli.conversation import for_json
from convostate.errors import UsageError
from convostate.phone.kept import Lookout
from convostate.testing.codes import worded
from convostate.twilio.pair import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply
    from convostate.testing.simulator import TwilioSimulator

COMMANDS = {
    "/wait 4h": "let time pass: 90s, 30m, 4h, 2d",
    "/as +15550100002": "go on as another person",
    "/state": "show what is kept of this conversation now",
    "/resend": "have Twilio deliver the last text once more",
    "/stop": "text STOP",
    "/help": "show this",
    "/quit": "end, as Ctrl-D does",
}
_SPAN = re.compile(r"(\d{1,6}) ?([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_WAIT_S = 400 * 86_400


class ChatSession:
    """What is said between some people and one app.

    Args:
        simulator: The Twilio between them.
        number: Who texts first.
        texting: The app's number.
        remote: Whether the app runs elsewhere, so that only cookies age, no state can be seen and
            no log be heard.
        as_json: Whether each turn is printed as a line of JSON.
        echo: Whether what is typed is printed as well, because nobody saw it typed.

    Attributes:
        failed: Whether Twilio would have reported an error.
        over: Whether ``/quit`` was typed.
    """

    def __init__(
        self,
        simulator: TwilioSimulator,
        number: str,
        texting: str,
        *,
        remote: bool,
        as_json: bool,
        echo: bool,
    ) -> None:
        self._simulator = simulator
        self._texting = texting
        self._phone = self._phone_of(number)
        self._remote = remote
        self._told_of_unguarded = False
        self._as_json = as_json
        self._echo = echo
        self._lookout = Lookout(simulator)
        self._read: dict[tuple[str, str], int] = {}
        self.failed = False
        self.over = False

    def _phone_of(self, number: str) -> Phone:
        if number == self._texting:
            raise UsageError("The app has this number. Text as another person: +15550100002")
        return self._simulator.phone(number, texting=self._texting)

    def start(self, function: Callable[..., object]) -> None:
        """Have the app write first.

        Args:
            function: ``start(client, *, to, from_)`` of the app's.
        """
        client, phone = self._simulator.rest_client(), self._phone
        function(client, to=phone.number, from_=phone.texting)
        messages = [message.body for message in self._news(phone)]
        if self._as_json:
            turn = {"from": phone.texting, "to": phone.number, "messages": messages}
            click.echo(json.dumps(turn, ensure_ascii=False))
        else:
            _show_messages(messages)

    def enter(self, line: str) -> None:
        """Take one line: a text, or a command, which begins with a slash; ``//`` texts a slash.

        Raises:
            UsageError: It is no command, or one that cannot be followed.
        """
        if line.startswith("/") and not line.startswith("//"):
            self._command(line)
            return
        text = line.removeprefix("/")
        if self._echo and not self._as_json:
            click.echo(f"> {text}")
        self._show(text, self._phone.text(text))

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        commands: dict[str, Callable[[str], None]] = {
            "/wait": self._wait,
            "/as": self._as,
            "/state": lambda _: self._show_state(),
            "/resend": lambda _: self._show(line, self._resend()),
            "/stop": lambda _: self.enter("STOP"),
            "/help": lambda _: click.echo(command_help()),
            "/quit": self._quit,
        }
        if name not in commands:
            raise UsageError(f"There is no command {name}. Type /help, or // to text a slash")
        commands[name](argument.strip())

    def _wait(self, argument: str) -> None:
        span = _SPAN.fullmatch(argument)
        if span is None:
            raise UsageError("How long? Write /wait 90s, 30m, 4h or 2d")
        seconds = int(span[1]) * _UNITS[span[2]]
        if seconds > _LONGEST_WAIT_S:
            raise UsageError("That is too long. Write /wait 400d at most")
        self._simulator.clock.advance(seconds=seconds)
        only = "; only Twilio's cookies age: the app has a clock of its own" if self._remote else ""
        self._note(f"/wait {argument}", waited=f"{argument} later{only}")

    def _as(self, argument: str) -> None:
        if not is_address(argument):
            raise UsageError("As whom? Write /as +15550100002")
        self._phone = self._phone_of(argument)
        self._note(f"/as {argument}", now=f"texting as {argument}")

    def _resend(self) -> Reply:
        if self._echo and not self._as_json:
            click.echo("> /resend")
        return self._phone.resend()

    def _quit(self, _: str) -> None:
        self.over = True

    def _show_state(self) -> None:
        if self._remote:
            raise UsageError(
                "The state is inside the server. Start the chat with module:name instead"
            )
        if self._lookout.middleware is None:
            raise UsageError(
                "This app is not wrapped, so it has no state. Start the chat with --wrap"
            )
        kept = self._lookout.state(self._phone)
        opted_out = self._phone.opted_out
        if self._as_json:
            state = None if kept is None else for_json(kept)
            shown = {"command": "/state", "state": state, "opted_out": opted_out}
            click.echo(json.dumps(shown, default=repr))
        else:
            # "nothing is kept" would be wrong: a store at the server remembers STOPs and replies
            words = "no conversation goes on" if kept is None else str(dict(kept))
            stop = "; a STOP stands, until START" if opted_out else ""
            click.echo(f"-- {words}{stop}")

    def _note(self, command: str, **what: str) -> None:
        """Say what a command did."""
        if self._as_json:
            click.echo(json.dumps({"command": command, **what}, ensure_ascii=False))
        else:
            click.echo(f"-- {' '.join(what.values())}")

    def _show(self, text: str, reply: Reply) -> None:
        messages = reply.messages + [message.body for message in self._news(self._phone)]
        if self._as_json:
            turn = {
                "from": self._phone.number,
                "to": self._phone.texting,
                "text": text,
                "messages": messages,
                "media": reply.media,
                "status": reply.status,
                "error": reply.error,
            }
            if reply.from_twilio:
                turn["from_twilio"] = reply.from_twilio
            click.echo(json.dumps(turn, ensure_ascii=False))
        else:
            _show_messages([*messages, *reply.media])
            if reply.from_twilio:
                click.echo(f"-- Twilio answers: {reply.from_twilio}")
        if reply.exception is not None:
            click.echo("".join(traceback.format_exception(reply.exception)), nl=False, err=True)
        if self._remote and not self._told_of_unguarded:
            self._tell_of_unguarded(reply)
        for code in reply.errors:
            self.failed = True
            answered = f": the app answered {reply.status}" if reply.status >= 400 else ""
            click.echo(f"convostate: Twilio reports {worded(code)}{answered}", err=True)

    def _tell_of_unguarded(self, reply: Reply) -> None:
        """Say once that an answer did not come through the middleware, which forbids caches in each.

        An app in this process logs it. Asking a running one, by a request that nobody signed, would
        run the app where the path is not guarded.
        """
        for exchange in reply.exchanges:
            response = exchange.response
            if response is None or response.status >= 400:
                continue
            if "no-store" not in ",".join(response.headers.getlist("Cache-Control")).lower():
                self._told_of_unguarded = True
                path = urlsplit(exchange.url).path or "/"
                click.echo(
                    f"convostate: nothing shows that {path} is guarded, so the app may run without state. "
                    "Add it to CONVOSTATE_PATHS of the running app, or wrap that app",
                    err=True,
                )
                return

    def _news(self, phone: Phone) -> list[Any]:
        """What the app has sent to this phone of its own accord since the last look."""
        pair = (phone.number, phone.texting)
        inbox = phone.inbox
        read, self._read[pair] = self._read.get(pair, 0), len(inbox)
        return inbox[read:]


def _show_messages(messages: list[str]) -> None:
    for message in messages:
        click.echo("< " + message.replace("\n", "\n  "))


def command_help() -> str:
    """The commands of a chat, one a line."""
    return "\n".join(f"{name:<17} {what}" for name, what in COMMANDS.items())
