"""``convostate work`` and ``convostate dead``: deferred texts."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from convostate.cli.arguments import json_option
from convostate.cli.conversation import reachable_settings
from convostate.cli.loading import load_object, reported
from convostate.conversations import AsyncConversations, Conversations
from convostate.errors import UsageError
from convostate.replies import GRACE_S, LoopWorkers, ThreadWorkers
from convostate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS, _TASKS = 8, 1000
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@click.command(short_help="Answer deferred texts.")
@click.argument("conversations")
@click.option(
    "--threads",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help=f"How many answers run at once: by default {_THREADS} in threads, {_TASKS} on an event loop.",
)
def work(conversations: str, threads: int | None) -> None:
    """Answer the texts of CONVOSTATE_DEFER_PATHS with the answer function of CONVERSATIONS.

    CONVERSATIONS is module:name of a Conversations object, whose function runs in threads, or of an
    AsyncConversations object, whose function runs on an event loop. Run as many such processes as you
    like, on any host. After SIGTERM the running answers have 20 seconds to end; a second SIGTERM returns
    them to the queue.
    """
    with reported(f"loading {conversations}"):
        target = load_object(conversations)
    if not isinstance(target, (Conversations, AsyncConversations)):
        raise UsageError(
            f"{conversations} is not a Conversations object. Write module:name, such as shop.sms:conversations"
        )
    if isinstance(getattr(target.store, "store", target.store), MemoryStore):
        raise UsageError(
            "Only the app's own process can answer texts in its memory. Call conversations.start_workers() "
            "there, or set CONVOSTATE_STORE=redis://… for the app and for this command"
        )
    target.deferred.check()
    if not target.settings.defer_paths:
        click.echo(
            "CONVOSTATE_DEFER_PATHS is not set for this command. Unless it is set for the app, no text is "
            "deferred and nothing arrives here. Set CONVOSTATE_DEFER_PATHS=/sms, the paths on which the app "
            "calls answer_later()",
            err=True,
        )
    if isinstance(target, Conversations):
        workers = ThreadWorkers(target.deferred, threads or _THREADS)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: _stop(workers))
        _announce(threads or _THREADS)
        workers.run()
        target.store.close()
    else:
        asyncio.run(_serve(target, threads or _TASKS))


async def _serve(target: AsyncConversations, limit: int) -> None:
    workers = LoopWorkers(target.deferred, limit)
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _stop, workers)
    _announce(limit)
    await workers.dispatch()
    await target.store.close()


def _announce(limit: int) -> None:
    click.echo(f"answers up to {limit} conversations at once; stop it with Ctrl+C")


def _stop(workers: ThreadWorkers | LoopWorkers) -> None:
    count = len(workers.running)
    if count and not workers.is_stopped:
        running = f"{count} answer{'s' if count > 1 else ''}"
        click.echo(
            f"waits up to {GRACE_S:.0f} s for {running}; a second signal puts back what runs"
        )
    workers.stop(0 if workers.is_stopped else GRACE_S)


@click.command(short_help="Show texts that were not answered and replies that were not sent.")
@click.option("--retry", is_flag=True, help="Answer the texts and send the replies again.")
@json_option
@click.pass_context
def dead(context: click.Context, retry: bool, as_json: bool) -> None:
    """Show the dead letters of the last 24 hours: time, kind, reason, and numbers.

    A text becomes a dead letter if its answer has failed four times, a reply if Twilio refuses it. The
    reason `unknown` means that the reply may have been sent: with --retry it may be sent twice. Exit
    status 0: there are none, or they are retried, 1: there are some.
    """
    conversations = Conversations(reachable_settings())
    letters = conversations.dead_letters(retry=retry)
    for pair, letter in letters:
        at = datetime.fromtimestamp(letter.at_s, timezone.utc).isoformat(timespec="seconds")
        shown: dict[str, Any] = {
            "at": at,
            "what": "text" if letter.is_text else "reply",
            "reason": letter.reason,
            "ours": None if pair is None else pair.ours,
            "theirs": None if pair is None else pair.theirs,
        }
        show: Callable[[dict[str, Any]], str] = json.dumps if as_json else _line
        click.echo(show(shown))
    if not as_json:
        done = "put back" if retry else "given up"
        click.echo(f"{len(letters)} {done}" if letters else "nothing is given up")
    context.exit(1 if letters and not retry else 0)


def _line(letter: dict[str, Any]) -> str:
    return "  ".join(str(value or "?") for value in letter.values())
