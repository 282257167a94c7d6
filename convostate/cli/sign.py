"""``convostate sign``."""

from __future__ import annotations

import json
import shlex

import click

from convostate.cli.signing import (
    account_in,
    read_params,
    read_url,
    signing_secret,
    signing_settings,
)
from convostate.testing.params import encode
from convostate.twilio.signature import sign as sign_url


@click.command()
@click.argument("url", callback=read_url)
@click.argument("params", nargs=-1, metavar="[NAME=VALUE]...", callback=read_params)
@click.option("--curl", is_flag=True, help="Print a curl command that sends the signed request.")
@click.option(
    "--shared-key", "key_id", default="", help="Sign with this key of CONVOSTATE_SHARED_KEYS."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def sign(url: str, params: list[tuple[str, str]], curl: bool, key_id: str, as_json: bool) -> None:
    """Print the X-Twilio-Signature of a request.

    With parameters it is a POST, without parameters a GET of the URL and its query. Write values
    unescaped. The token is TWILIO_AUTH_TOKEN.
    """
    account_sid = account_in(url, params)
    secret, algorithm = signing_secret(signing_settings(), account_sid, key_id)
    signature = sign_url(url, params, secret, algorithm)
    headers = {"X-Twilio-Signature": signature}
    if key_id:
        settings = f"key={key_id},algorithm={algorithm}"
        headers["X-Twilio-Webhooks-Signature-Settings"] = settings
    command = _curl(url, params, headers)
    if as_json:
        shown = {"signature": signature, "url": url, "params": params, "headers": headers}
        click.echo(json.dumps({**shown, "curl": command} if curl else shown, ensure_ascii=False))
        return
    click.echo(signature)
    if curl:
        click.echo(command)


def _curl(url: str, params: list[tuple[str, str]], headers: dict[str, str]) -> str:
    words = ["curl"]
    # curl would change these parts of a URL, and they were signed as they are
    if set("[]{}") & set(url):
        words.append("--globoff")
    if "/." in url:
        words.append("--path-as-is")
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if params:
        words += ["--data-raw", encode(params)]  # what was signed, escaped as Twilio does
    return shlex.join([*words, url])
