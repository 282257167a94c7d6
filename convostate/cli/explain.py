"""``convostate explain``."""

from __future__ import annotations

import json

import click

from convostate.cli.signing import arrival_at, read_params, read_url, signing_settings
from convostate.testing.params import encode
from convostate.twilio.authenticate import FORM
from convostate.twilio.diagnosis import diagnose
from convostate.twilio.signature import Request


@click.command(short_help="Say whether a request verifies, and if not, why.")
@click.argument("url", callback=read_url)
@click.argument("signature")
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...", callback=read_params)
@click.option(
    "--settings",
    "scheme",
    default="",
    metavar="HEADER",
    help="The request's X-Twilio-Webhooks-Signature-Settings, if it has one.",
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
    """Say whether the middleware accepts a request, with or without the URL's port, and if not, why.

    With parameters it is a POST, without parameters a GET. The token is TWILIO_AUTH_TOKEN. If the URL begins
    with CONVOSTATE_PUBLIC_URL, the advice goes by that. Exit status 0: it verifies, 1: it does not.
    """
    body = encode(params).encode("ascii")
    query = url.partition("?")[2]
    method, content_type = ("POST", FORM) if params else ("GET", "")
    request = Request(method, url, query, content_type, body, signature, scheme)
    diagnosis = diagnose(request, signing_settings().secrets(), lambda: arrival_at(url))
    shown = {name: getattr(diagnosis, name) for name in ("valid", "checked", "reason", "advice")}
    click.echo(json.dumps(shown) if as_json else str(diagnosis))
    context.exit(0 if diagnosis.valid else 1)
