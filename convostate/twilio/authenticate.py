"""Authenticate: prove that Twilio made a request, and read it as a webhook.

authenticate(request, secrets)   → Webhook and the signed string, or RequestError
"""

from __future__ import annotations

import re

from convostate.errors import RequestError
from convostate.twilio.ambiguity import check_split
from convostate.twilio.form import (
    EMPTY,
    IDENTITY,
    MESSAGE_SIDS,
    Form,
    learn,
    names_of_query,
    parse_form,
    parse_query,
)
from convostate.twilio.signature import Request, Secrets, body_hash_matches, body_hash_of, verify
from convostate.twilio.webhook import LIVE_CALL, Params, Webhook, kind_and_pair

FORM = "application/x-www-form-urlencoded"
_OF_MESSAGES = MESSAGE_SIDS | {"MessageStatus", "SmsStatus"}
_OF_CALLS = frozenset({"CallSid", "CallStatus", "Direction"})
_WORDS = ("ApiVersion", "Direction", "MessageStatus", "SmsStatus", "CallStatus")
# https://www.twilio.com/docs/voice/twiml#callstatus-values, the statuses of messages, 2010-04-01. A capital letter
# would be the beginning of the next parameter's name.
_USUAL_WORDS = LIVE_CALL | {*"2010-04-01 completed delivered inbound received sent".split(), ""}
_is_word = re.compile("[a-z]*(?:[-_][a-z]+)*|v[0-9]|[0-9]{4}(?:-[0-9]{2}){2}").fullmatch
_is_json = re.compile(r"application/(?:[a-z0-9.-]+\+)?json *(?:;[^,]*)?", re.IGNORECASE).fullmatch


def authenticate(request: Request, secrets: Secrets) -> tuple[Webhook, str]:
    """Prove that Twilio made a request.

    Args:
        request: What arrived.
        secrets: What may have signed it.

    Returns:
        The webhook, and the signed string, which names the request.

    Raises:
        RequestError: 400 malformed, 403 not proven, 405 another method, 415 another content type.
    """
    signed_form = EMPTY
    if request.method not in ("GET", "POST"):
        raise RequestError(405, "method", "webhooks are GET or POST")
    body_hash = body_hash_of(request.query) if request.query else None
    if request.method == "POST" and (
        request.content_type == FORM or is_form(request.content_type)  # as a rule it is just that
    ):
        if body_hash is not None:
            raise RequestError(
                415,
                "content-type",
                "the URL of a form has bodySHA256, so it was not signed as a form",
            )
        form = signed_form = parse_form(request.body)
    else:
        _check_body(request, body_hash)
        form = parse_query(request.query)

    params = form.first
    signers = secrets.candidates(request.scheme, params.get("AccountSid", ""))
    signed = verify(request.url, signed_form, request.signature, signers)
    if signed_form.is_unknown:
        learn(signed_form)
    _check_identity(request, form, signed)
    # A form without an account is not a GET webhook's, whose URL names the account.
    if "AccountSid" not in params and "AccountSid" in names_of_query(request.query):
        raise _misidentified("the account is only in the query, as in a GET webhook", "AccountSid")
    check_split(signed, signed_form, request.query, secrets.own_params)
    kind, pair = kind_and_pair(params) if body_hash is None else ("other", None)
    return Webhook(kind, pair, Params(params), request.url), signed


def _check_body(request: Request, body_hash: str | None) -> None:
    """A body that is not a form is signed by its hash in the URL; a GET has no body."""
    if "form" in request.content_type.lower() and request.method == "POST":
        raise RequestError(
            415, "content-type", "a form must be UTF-8 and urlencoded, not multipart"
        )
    if request.method == "GET":
        if request.body:
            raise RequestError(415, "content-type", "a GET webhook has no body")
        if body_hash == "":
            raise RequestError(415, "content-type", "the URL carries two different bodySHA256")
    elif not body_hash_matches(request.query, request.body):
        raise RequestError(
            415,
            "content-type",
            "it is neither a UTF-8 form nor a body that matches the URL's bodySHA256",
        )
    elif request.body and not _is_json(request.content_type):
        # The type is not signed, and Quart reads application/x-url-encoded as a form.
        raise RequestError(415, "content-type", "a body that is signed by its hash is JSON")


def is_form(content_type: str) -> bool:
    """Whether a POST of this type is signed as a form."""
    media_type, *parameters = content_type.lower().split(";")
    return media_type.strip() == FORM and all(
        parameter.replace('"', "").strip() in ("", "charset=utf-8") for parameter in parameters
    )


def _check_identity(request: Request, form: Form, signed: str) -> None:
    """Each identity field has one valid value, and the fields fit together."""
    params, pairs = form.first, form.pairs
    if "\0" in signed or "%00" in request.query:
        for name in IDENTITY - {"Body"}:
            if "\0" in params.get(name, ""):
                raise RequestError(400, "form", "malformed form: a field holds NUL", parameter=name)
    if pairs is not None:
        # In a GET, Twilio appends its parameters to those of the account's own URL.
        given = dict.fromkeys(pairs) if request.method == "GET" else pairs
        names = [name for name, _ in given if name in IDENTITY]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            is_get = request.method == "GET"
            advice = (
                ": if the webhook's URL at Twilio has it too, rename it there" if is_get else ""
            )
            why = f"a parameter that identifies the conversation is repeated{advice}"
            raise _misidentified(why, twice)
    sid = params.get("MessageSid") or params.get("SmsSid") or params.get("SmsMessageSid")
    if params.get("SmsSid", sid) != sid or params.get("SmsMessageSid", sid) != sid:
        name = "SmsMessageSid" if params.get("SmsSid", sid) == sid else "SmsSid"
        raise _misidentified("the message has two SIDs", name)
    if (of_call := _OF_CALLS & params.keys()) and _OF_MESSAGES & params.keys():
        raise _misidentified("a message has a field of a call", min(of_call))
    for name in _WORDS:
        word = params.get(name, "")
        if word not in _USUAL_WORDS and not _is_word(word):
            raise _misidentified("a status, a direction or a version is not one word", name)


def _misidentified(why: str, parameter: str) -> RequestError:
    return RequestError(403, "identity", why, parameter=parameter)
