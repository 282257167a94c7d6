"""``convostate sign`` and ``convostate explain``: the signature of a request."""

from __future__ import annotations

import json
import os
import shlex

import click

from convostate.cli.arguments import json_option, read_params, read_url
from convostate.errors import RequestError, UsageError
from convostate.sealing.keys import Keyring
from convostate.settings import Settings
from convostate.testing.fetch import Secret
from convostate.testing.params import encode
from convostate.twilio.authenticate import FORM
from convostate.twilio.diagnosis import Arrival, diagnose
from convostate.twilio.form import parse_query
from convostate.twilio.signature import Request

_VARIABLES = (
    "TWILIO_AUTH_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "CONVOSTATE_AUTH_TOKENS",
    "CONVOSTATE_ACCOUNT_TOKENS",
    "CONVOSTATE_SHARED_KEYS",
    "CONVOSTATE_OWN_PARAMS",
)
_url = click.argument("url", callback=read_url)
_params = click.argument("params", nargs=-1, metavar="[NAME=VALUE]...", callback=read_params)


@click.command()
@_url
@_params
@click.option("--curl", is_flag=True, help="Print a curl command that sends the signed request.")
@click.option(
    "--shared-key", "key_id", default="", help="Sign with this key of CONVOSTATE_SHARED_KEYS."
)
@json_option
def sign(url: str, params: list[tuple[str, str]], curl: bool, key_id: str, as_json: bool) -> None:
    """Print the X-Twilio-Signature of a request.

    With parameters it is a POST, without parameters a GET of the URL and its query. Write values
    unescaped. The token is TWILIO_AUTH_TOKEN.
    """
    secret = _secret(_settings(), _account(url, params), key_id)
    headers = dict(secret.headers(url, params))
    signature = headers["X-Twilio-Signature"]
    command = _curl(url, params, headers)
    if as_json:
        shown = {"signature": signature, "url": url, "params": params, "headers": headers}
        click.echo(json.dumps({**shown, "curl": command} if curl else shown, ensure_ascii=False))
        return
    click.echo(signature)
    if curl:
        click.echo(command)


@click.command(short_help="Say whether a request verifies, and if not, why.")
@_url
@click.argument("signature")
@_params
@click.option(
    "--settings",
    "scheme",
    default="",
    metavar="HEADER",
    help="The request's X-Twilio-Webhooks-Signature-Settings, if it has one.",
)
@json_option
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
    with CONVOSTATE_PUBLIC_URL, the advice assumes that setting. Exit status 0: it verifies, 1: it does not.
    """
    body = encode(params).encode("ascii")
    query = url.partition("?")[2]
    method, content_type = ("POST", FORM) if params else ("GET", "")
    request = Request(method, url, query, content_type, body, signature, scheme)
    diagnosis = diagnose(request, _settings().secrets(), lambda: _arrival(url))
    shown = {name: getattr(diagnosis, name) for name in ("valid", "checked", "reason", "advice")}
    click.echo(json.dumps(shown) if as_json else str(diagnosis))
    context.exit(0 if diagnosis.valid else 1)


def _settings() -> Settings:
    """The settings of signatures; others are not read."""
    values = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return Settings.from_environ({**values, "CONVOSTATE_KEYS": Keyring.generate()})


def _secret(settings: Settings, account_sid: str, key_id: str) -> Secret:
    """The secret that signs webhooks of an account, or the shared key with this id."""
    if key_id:
        if key_id not in settings.shared_keys:
            raise UsageError(
                "There is no such shared key. Set CONVOSTATE_SHARED_KEYS=<key_id>=<secret>"
            )
        return Secret(settings.shared_keys[key_id], key_id)
    own = settings.account_tokens.get(account_sid, ())
    tokens = [*own, *filter(None, [settings.auth_token]), *settings.auth_tokens]
    if not tokens:
        raise UsageError(
            "There is no auth token for this account. Set TWILIO_AUTH_TOKEN=<the account's auth token>"
        )
    return Secret(tokens[0])


def _arrival(url: str) -> Arrival | None:
    """How a request to this URL arrives at an app with CONVOSTATE_PUBLIC_URL; None without that."""
    public_url = os.environ.get("CONVOSTATE_PUBLIC_URL", "").strip().rstrip("/")
    target = url.removeprefix(public_url)
    if target == url or target[:1] not in ("", "/", "?"):
        return None
    return Arrival(target, public_url)


def _account(url: str, params: list[tuple[str, str]]) -> str:
    """The account that a request names in its form or, for a GET, in its query; or ""."""
    if params:
        return next((value for name, value in params if name == "AccountSid"), "")
    try:
        return parse_query(url.partition("?")[2]).first.get("AccountSid", "")
    except RequestError:
        return ""


def _curl(url: str, params: list[tuple[str, str]], headers: dict[str, str]) -> str:
    words = ["curl"]
    # curl would change these parts of the URL, which are signed unchanged
    if set("[]{}") & set(url):
        words.append("--globoff")
    if "/." in url:
        words.append("--path-as-is")
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if params:
        words += ["--data-raw", encode(params)]
    return shlex.join([*words, url])
