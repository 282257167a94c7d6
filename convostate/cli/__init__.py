"""The command line, one module for each subject.

Results go to standard output. Errors go to standard error, in one line that begins with "convostate:": what the
user has to change is a UsageError, wherever it is raised.
Exit status 0: success; 1: the check has failed; 2: the check was not possible.
"""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import click

from convostate.cli import chat, conversation, doctor, phone, signing, tokens, work
from convostate.cli.arguments import check_utf8
from convostate.errors import ConvostateError

if TYPE_CHECKING:
    from collections.abc import Sequence


class OneLineErrors(click.Group):
    """A group whose errors are one line on standard error and exit status 2."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line."""
        for text in args:
            check_utf8(text, "An argument")
        return super().parse_args(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command, and exit."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        for stream in (sys.stdout, sys.stderr):
            # Windows redirects into a code page, which has no arrow, and no emoji of a text.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _fail(error.format_message())
        except ConvostateError as error:
            _fail(str(error))
        except click.Abort:
            sys.exit(130)  # as shells report an interrupt
        except OSError as error:
            *_, (frame, _) = walk_tb(error.__traceback__)
            if frame.f_code is not click.echo.__code__:
                raise
            # Such as a full disk under standard output, which is flushed again at the end.
            sys.stdout = io.StringIO()
            _fail(error.strerror or str(error))
        sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    click.echo(f"convostate: {' '.join(message.split())}", err=True)
    sys.exit(2)


@click.group(
    cls=OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="convostate")
@click.pass_context
def main(context: click.Context) -> None:
    """Conversation state for apps that answer Twilio texts and calls."""
    # CONVOSTATE_STORE=module:factory is imported from the working directory, as an app is.
    with suppress(FileNotFoundError):  # a release that was deleted
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    chat.chat,
    conversation.end,
    conversation.forget,
    conversation.show,
    doctor.doctor,
    signing.explain,
    tokens.keygen,
    tokens.open_token,
    phone.phone,
    signing.sign,
    work.dead,
    work.work,
):
    main.add_command(command)
