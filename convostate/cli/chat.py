"""``convostate chat``: texting an app from a terminal, a script or a pipe."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from convostate.cli.arguments import check_utf8, json_option, number_option
from convostate.cli.conversation import for_json
from convostate.cli.loading import correct_app, is_app, is_url, reported
from convostate.cli.target import DEMO, make_target, target_options
from convostate.errors import ConvostateError, UsageError
from convostate.phone.inspector import StateInspector
from convostate.settings import span_of
from convostate.testing.codes import describe
from convostate.twilio.webhook import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.phone.session import Target
    from convostate.testing.call import Call
    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply

_PERSON = "+15550100001"
_LONGEST_WAIT = timedelta(days=400)
_LISTEN_S = 0.1  # between two checks for new messages

COMMANDS = {
    "/wait 4h": "let time pass: 90s, 30m, 4h, 2d",
    "/as +15550100002": "continue as another person",
    "/state": "show the stored state of this conversation",
    "/resend": "deliver the last text again",
    "/stop": "text STOP",
    "/call": "call the app, or answer the call that it has placed",
    "/press 1": "press keys during a call",
    "/say sales": "speak during a call, or into a recording",
    "/hangup": "end the call",
    "/help": "show this",
    "/quit": "end, as Ctrl-D does",
}


def command_help() -> str:
    """The commands of a chat, one per line."""
    return "\n".join(f"{name:<17} {what}" for name, what in COMMANDS.items())


@click.command(
    short_help="Text an app as if through Twilio.", epilog="\b\nIn a chat:\n" + command_help()
)
@click.argument("words", nargs=-1, metavar="[APP|URL] [MESSAGE]...")
@number_option("--as", _PERSON, "The person's number.", "number")
@target_options
@click.option("--start", is_flag=True, help="Let the app write first, with start() of its module.")
@json_option
@click.pass_context
def chat(
    context: click.Context,
    /,
    words: tuple[str, ...],
    number: str,
    texting: str,
    start: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Text an app as if through Twilio: no account, tunnel or number needed.

    APP is module:name, the call of a factory such as 'shop:create_app()', or a file such as ./app.py;
    the default is the demo, a counter. URL is the URL of a running app. With messages, it prints the
    replies and ends; without, it reads messages from the terminal or a pipe. Exit status 1: Twilio would
    have reported an error.

    With --start the app writes first: start(client, to=…, from_=…) of the app's module is called
    with a Twilio client whose messages arrive here.
    """
    name, messages = (DEMO, words)
    if words and (is_app(words[0]) or is_url(words[0])):
        name, messages = words[0], words[1:]
    elif words and (correction := correct_app(words[0])):
        raise UsageError(f"chat takes an app, a URL or texts. Write {correction}")
    typing = not messages and sys.stdin is not None and sys.stdin.isatty()
    module = name.partition(":")[0]
    with reported(f"loading {name}"):
        target = make_target(name, **options)
    session = ChatSession(target, number, texting, as_json=as_json, echo=not typing)
    with target.simulator.caught_clients(), session.listening(prompt="> " if typing else ""):
        if start:
            with reported(f"start() of {module}"):
                session.start(module)
        for line in messages or (_typed() if typing else _piped()):
            _enter(session, line, interactive=typing)
            if session.over:
                break
        if not typing:
            session.await_answers()
    context.exit(1 if session.failed and not typing else 0)


class ChatSession:
    """A chat between some people, the first with `number`, and one app, with the number `texting`.

    Attributes:
        failed: Whether Twilio would have reported an error.
        over: Whether ``/quit`` was entered.
    """

    def __init__(
        self, target: Target, number: str, texting: str, *, as_json: bool, echo: bool
    ) -> None:
        self._target = target
        self._simulator = target.simulator
        self._remote = target.simulator.app is None
        self._texting = texting
        self._phones: set[Phone] = set()
        self._phone = self._phone_of(number)
        self._as_json = as_json
        self._echo = echo  # the input as well, because no terminal shows it
        self._warned_of_unguarded = False
        self._printed: dict[Phone, int] = {}
        self._call: Call | None = None
        self._lock = threading.RLock()  # a text and its replies are printed together
        self._answer_failed = False
        self.failed = False
        self.over = False

    def _phone_of(self, number: str) -> Phone:
        if number == self._texting:
            raise UsageError("The app has this number. Text as another person: +15550100002")
        phone = self._simulator.phone(number, texting=self._texting)
        self._phones.add(phone)
        return phone

    def start(self, module: str) -> None:
        """Let the app write first."""
        phone = self._phone
        if self._remote:
            raise UsageError("A running app starts conversations by itself. Leave out --start")
        if self._target.start is None:
            raise UsageError(
                f"{module} has no function that starts a conversation. "
                "Write start(client, *, to, from_), as in convostate.demo.reminder"
            )
        self._target.start(self._simulator.rest_client(), to=phone.number, from_=phone.texting)
        self._print_new()

    def enter(self, line: str) -> None:
        """Handle one line: a text, or a command, which begins with a slash; ``//`` texts a slash."""
        with self._lock:
            if line.startswith("/") and not line.startswith("//"):
                self._command(line)
            else:
                text = line.removeprefix("/")
                self._show(text, lambda: self._phone.text(text))

    @contextlib.contextmanager
    def listening(self, prompt: str) -> Iterator[None]:
        """Print messages as they arrive, above the prompt if there is one."""
        over = threading.Event()

        def listen() -> None:
            while not over.wait(_LISTEN_S):
                self._deliver(prompt)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            with self._simulator.keep_answering(self._answered):
                yield
        finally:
            over.set()
            thread.join()

    def _deliver(self, prompt: str = "") -> None:
        with self._lock:
            phone = self._phone
            if len(phone.inbox) == self._printed.get(phone, 0):
                return
            if prompt:
                click.echo("\r\033[K", nl=False)  # clears the line with the prompt and the input
            self._print_new()
            if prompt:
                readline = sys.modules.get("readline")
                click.echo(prompt + (readline.get_line_buffer() if readline else ""), nl=False)

    def await_answers(self) -> None:
        """Wait for the answers to all texts so far, or until one fails; it is retried later."""
        self._answer_failed, tick = False, threading.Event()
        while not self._answer_failed and any(map(self._simulator.is_answering, self._phones)):
            tick.wait(_LISTEN_S)
        self._deliver()

    def _answered(self, _: object, error: Exception | None) -> None:
        if error is None:
            return
        with self._lock:
            self.failed = self._answer_failed = True
            click.echo("".join(traceback.format_exception(error)), nl=False, err=True)

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        argument = argument.strip()
        commands: dict[str, Callable[[], None]] = {
            "/wait": lambda: self._wait(argument),
            "/as": lambda: self._as(argument),
            "/state": self._show_state,
            "/resend": lambda: self._show(line, self._phone.resend),
            "/stop": lambda: self.enter("STOP"),
            "/call": lambda: self._show(line, self._place_call),
            "/press": lambda: self._show(line, lambda: self._on_call().press(argument)),
            "/say": lambda: self._show(line, lambda: _speak(self._on_call(), argument)),
            "/hangup": lambda: self._show(line, lambda: self._on_call().hang_up()),
            "/help": lambda: click.echo(command_help()),
            "/quit": lambda: setattr(self, "over", True),
        }
        if name not in commands:
            raise UsageError(f"There is no command {name}. Type /help, or // to text a slash")
        commands[name]()

    def _place_call(self) -> Call:
        self._call = self._phone.answer() if self._phone.ringing else self._phone.call()
        return self._call

    def _on_call(self) -> Call:
        if self._call is None:
            raise UsageError("There is no call. Type /call")
        return self._call

    def _wait(self, argument: str) -> None:
        span = span_of(argument)
        if not isinstance(span, timedelta):
            raise UsageError("/wait takes a time. Write /wait 90s, 30m, 4h or 2d")
        if span > _LONGEST_WAIT:
            raise UsageError("That is too long. Write /wait 400d at most")
        self._simulator.clock.advance(seconds=span.total_seconds())
        if self._echo:
            self.await_answers()
        only = "; only Twilio's cookies age: the app has its own clock" if self._remote else ""
        self._note(f"/wait {argument}", waited=f"{argument} later{only}")

    def _as(self, argument: str) -> None:
        if not is_address(argument):
            raise UsageError("/as takes a number. Write /as +15550100002")
        self._phone = self._phone_of(argument)
        self._note(f"/as {argument}", now=f"texting as {argument}")

    def _show_state(self) -> None:
        if self._remote:
            raise UsageError(
                "The state is inside the server. Start the chat with module:name instead"
            )
        inspector = StateInspector(self._simulator)
        if inspector.middleware is None:
            raise UsageError(
                "This app is not wrapped, so it has no state. Start the chat with --wrap"
            )
        state, opted_out = inspector.state(self._phone), self._phone.opted_out
        if self._as_json:
            shown = None if state is None else for_json(state)
            result = {"command": "/state", "state": shown, "opted_out": opted_out}
            click.echo(json.dumps(result, default=repr))
        else:
            words = "no conversation is in progress" if state is None else str(dict(state))
            click.echo(f"-- {words}{'; opted out until START' if opted_out else ''}")

    def _note(self, command: str, **result: str) -> None:
        """Print the result of a command."""
        if self._as_json:
            click.echo(json.dumps({"command": command, **result}, ensure_ascii=False))
        else:
            click.echo(f"-- {' '.join(result.values())}")

    def _show(self, text: str, act: Callable[[], Reply]) -> None:
        """Send something to the app, and print the reply."""
        if self._echo and not self._as_json:
            click.echo(f"> {text}")
        reply = act()
        turn: dict[str, Any] = {
            "from": self._phone.number,
            "to": self._phone.texting,
            "text": text,
            "messages": reply.messages + self._new_messages(),
            "media": reply.media,
            "status": reply.status,
            "error": reply.error,
        }
        said = [*reply.said, *reply.played]
        if said or text.startswith("/call"):
            turn["said"] = said
        if reply.from_twilio:
            turn["from_twilio"] = reply.from_twilio
        self._print(turn, [*said, *reply.media])
        if reply.exception is not None:
            click.echo("".join(traceback.format_exception(reply.exception)), nl=False, err=True)
        if self._call is not None and self._call.over:
            self._call = None
            if not self._as_json:
                click.echo("-- the call has ended")
        if self._remote:
            self._warn_if_unguarded(reply)
        for code in reply.errors:
            self.failed = True
            answered = f": the app answered {reply.status}" if reply.status >= 400 else ""
            _warn(f"Twilio reports {describe(code)}{answered}")

    def _print(self, turn: dict[str, Any], more: list[str]) -> None:
        rings = bool(self._phone.ringing)
        if self._as_json:
            turn |= {"ringing": True} if rings else {}
            click.echo(json.dumps(turn, ensure_ascii=False))
            return
        for message in [*turn["messages"], *more]:
            click.echo("< " + message.replace("\n", "\n  "))
        if "from_twilio" in turn:
            click.echo(f"-- Twilio answers: {turn['from_twilio']}")
        if rings:
            click.echo("-- the phone rings; /call answers it")

    def _print_new(self) -> None:
        turn = {"from": self._phone.texting, "to": self._phone.number}
        self._print({**turn, "messages": self._new_messages()}, [])

    def _warn_if_unguarded(self, reply: Reply) -> None:
        """Warn once if a response lacks the middleware's Cache-Control.

        An app in this process logs a warning of its own. An unsigned request to a running app would
        find out more, but it would run the app if the path is not guarded.
        """
        for exchange in reply.exchanges:
            response = exchange.response
            if response is None or response.status >= 400 or self._warned_of_unguarded:
                continue
            if "no-store" not in ",".join(response.headers.getlist("Cache-Control")).lower():
                self._warned_of_unguarded = True
                _warn(
                    f"{urlsplit(exchange.url).path or '/'} is probably not guarded, so the app may run without "
                    "state. Add it to CONVOSTATE_PATHS of the running app, or wrap that app"
                )

    def _new_messages(self) -> list[str]:
        """The messages that the app has sent to this phone on its own and that are not printed yet."""
        inbox = self._phone.inbox
        printed, self._printed[self._phone] = self._printed.get(self._phone, 0), len(inbox)
        return [message.body or f"[{message.content_sid}]" for message in inbox[printed:]]


def _warn(message: str) -> None:
    click.echo(f"convostate: {message}", err=True)


def _speak(call: Call, words: str) -> Call:
    return call.record(words) if call.waits_for == "Record" else call.say(words)


def _enter(session: ChatSession, line: str, *, interactive: bool) -> None:
    """Enter a line; an interactive chat continues after an error."""
    try:
        check_utf8(line, "This line")
        session.enter(line)
    except ConvostateError as error:
        if not interactive:
            raise
        _warn(str(error))


def _piped() -> Iterator[str]:
    """The lines of standard input, which a service may not have."""
    for line in () if sys.stdin is None else sys.stdin.buffer:
        try:
            text = line.decode(sys.stdin.encoding).rstrip("\r\n")
        except UnicodeDecodeError:
            raise UsageError("A line of the input is not valid UTF-8. Write it in UTF-8") from None
        if text:
            yield text


def _typed() -> Iterator[str]:
    with contextlib.suppress(ImportError):  # Windows has no readline
        import readline  # noqa: F401, PLC0415  gives input() a history
    click.echo("Type /help for commands, Ctrl-D to end.", err=True)
    with contextlib.suppress(EOFError):
        while True:
            if text := input("> "):
                yield text
    click.echo()
