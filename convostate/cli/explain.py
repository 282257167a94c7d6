"""``convostate explain``."""

from __future__ import annotations

import json

import click

from convostate.cli.signing import account_in, read_params, read_url, signing_settings
from convostate.twilio.diagnosis import Asked
from convostate.twilio.diagnosis import explain as explain_signature
from convostate.twilio.form import Form


@click.command(short_help="Say whether a signature is valid, and if not, why.")
@click.argument("url", callback=read_url)
@click.argument("signature")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...", callback=read_params)
@click.option(
    "--settings",
    "scheme",
    default="",
    metavar="HEADER",
    help="The request's X-Twilio-Webhooks-Signature-Settings, where it has one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def explain(
    context: click.Context,
    url: str,
    signature: str,
    params: list[tuple[str, str]],
    scheme: str,
    as_json: bool,
) -> None:
    """Say whether a signature is valid, with or without the URL's port, and if not, why.

    It judges the signature alone. Exit status 0: valid, 1: not. The token is TWILIO_AUTH_TOKEN.
    """
    first: dict[str, str] = {}
    for name, value in params:
        first.setdefault(name, value)
    form = Form(first, params if len(params) != len(first) else None)
    secrets = signing_settings().secrets()
    candidates = secrets.candidates(scheme, account_in(url, params))
    explanation = explain_signature(Asked(url, form, signature, candidates, secrets.every()))
    click.echo(json.dumps(explanation._asdict()) if as_json else str(explanation))
    context.exit(0 if explanation.valid else 1)
