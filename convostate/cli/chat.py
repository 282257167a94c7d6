"""``convostate chat``."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convostate.cli.addresses import read_address
from convostate.cli.chat_session import ChatSession, command_help
from convostate.cli.tryout import (
    DEMO,
    find_start,
    is_app,
    is_url,
    simulate,
    texting_option,
    webhook_url_option,
)
from convostate.cli.words import is_text
from convostate.errors import ConvostateError, UsageError
from convostate.phone.shown import traceback_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_PERSON = "+15550100001"


@click.command(
    short_help="Text an app as if through Twilio.", epilog="\b\nIn a chat:\n" + command_help()
)
@click.argument("words", nargs=-1, metavar="[APP|URL] [MESSAGE]...")
@click.option(
    "--as", "number", default=_PERSON, show_default=True, callback=read_address, help="Who texts."
)
@texting_option
@webhook_url_option
@click.option("--wrap", is_flag=True, help="Wrap an app that is not wrapped, for this chat.")
@click.option("--start", is_flag=True, help="Have the app write first, by start() of its module.")
@click.option("--json", "as_json", is_flag=True, help="Print each turn as a line of JSON.")
@click.pass_context
def chat(
    context: click.Context,
    words: tuple[str, ...],
    number: str,
    texting: str,
    webhook_url: str | None,
    wrap: bool,
    start: bool,
    as_json: bool,
) -> None:
    """Text an app as if through Twilio: no account, tunnel or number needed.

    APP is module:name; without one it is the demo, a counter. URL is that of a running app. With
    messages it prints what they lead to and ends; without, it takes them from the terminal or a
    pipe. Exit status 1: Twilio would have reported an error.

    With --start the app writes first: start(client, to=…, from_=…) of the app's module is called
    with a Twilio client whose messages arrive here.
    """
    target, messages = (DEMO, words)
    if words and (is_app(words[0]) or is_url(words[0])):
        target, messages = words[0], words[1:]
    elif words:
        _check_message(words[0])
    typing = not messages and sys.stdin.isatty()
    module = target.partition(":")[0]
    with _telling(f"importing {module}", f"Mend what this says: python -c 'import {module}'"):
        simulator = simulate(target, webhook_url, wrap=wrap)
    session = ChatSession(
        simulator,
        number,
        texting,
        remote=is_url(target),
        as_json=as_json,
        echo=not typing,
    )
    if start:
        with _telling(f"start() of {module}", "Mend what the traceback says"):
            session.start(find_start(target))
    for line in messages or (_typed() if typing else _piped()):
        _enter(session, line, forgiving=typing)
        if session.over:
            break
    context.exit(1 if session.failed and not typing else 0)


def _check_message(word: str) -> None:
    """Refuse what was hardly meant as a text to the demo: half an app or half a URL.

    Raises:
        UsageError: It is an address and port, or a module of this directory.
    """
    if re.fullmatch(r"(localhost|[0-9]+(\.[0-9]+){3}):[0-9]+(/\S*)?", word):
        raise UsageError(f"chat takes an app, a URL or texts. Write http://{word} for the URL")
    module = word.removesuffix(".py")
    if module.isidentifier() and any(path.stem == module for path in Path().glob("*.py")):
        raise UsageError(f"chat takes an app, a URL or texts. Write {module}:app for the app")


@contextlib.contextmanager
def _telling(what: str, advice: str) -> Iterator[None]:
    """Tell what the app's own code raises: its traceback, and in a line what to do.

    Raises:
        UsageError: It raised.
    """
    try:
        yield
    except (ConvostateError, click.ClickException):
        raise
    except Exception as error:
        click.echo(traceback_of(error), nl=False, err=True)
        raise UsageError(f"{what} raises {type(error).__name__}. {advice}") from error


def _enter(session: ChatSession, line: str, *, forgiving: bool) -> None:
    """Enter a line; a person may mistype, or a store be down for a while, and go on."""
    try:
        if not is_text(line):
            raise UsageError("This line is no text. Write it in UTF-8")
        session.enter(line)
    except ConvostateError as error:
        if not forgiving:
            raise
        click.echo(f"convostate: {error}", err=True)


def _piped() -> Iterator[str]:
    """The lines of standard input.

    Raises:
        UsageError: One is no text.
    """
    for line in sys.stdin.buffer:
        try:
            text = line.decode(sys.stdin.encoding).rstrip("\r\n")
        except UnicodeDecodeError:
            raise UsageError("A line of the input is no text. Write it in UTF-8") from None
        if text:
            yield text


def _typed() -> Iterator[str]:
    with contextlib.suppress(ImportError):  # Windows has none
        import readline  # noqa: F401, PLC0415  gives input() a history
    click.echo("/help shows what else there is, Ctrl-D ends.", err=True)
    with contextlib.suppress(EOFError):
        while True:
            if text := input("> "):
                yield text
    click.echo()
