"""Authenticate: prove that Twilio made a request, and read it as a webhook.

authenticate(request, secrets)   → Webhook and the signed string, or RequestError
"""

from __future__ import annotations

from types import MappingProxyType

from convostate.errors import RequestError
from convostate.twilio.ambiguity import check_split
from convostate.twilio.form import (
    EMPTY,
    IDENTITY,
    Form,
    learn,
    names_of_query,
    parse_form,
    parse_query,
)
from convostate.twilio.signature import Request, Secrets, body_hash_matches, verify
from convostate.twilio.webhook import Webhook, kind_of, pair_of

FORM = "application/x-www-form-urlencoded"


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
    if request.method == "POST":
        if _is_form(request.content_type):
            if "bodySHA256" in request.query:
                raise RequestError(
                    415,
                    "content-type",
                    "a form whose URL carries bodySHA256 was signed as something else",
                )
            form = signed_form = parse_form(request.body)
        elif body_hash_matches(request.query, request.body):
            form, signed_form = parse_query(request.query), EMPTY
        else:
            raise RequestError(
                415,
                "content-type",
                "neither a form in UTF-8 nor a body that matches one bodySHA256",
            )
    elif request.method == "GET":
        if request.body or "bodySHA256" in request.query:
            raise RequestError(415, "content-type", "a GET webhook has no body")
        form, signed_form = parse_query(request.query), EMPTY
    else:
        raise RequestError(405, "method", "webhooks are GET or POST")

    params = form.first
    signers = secrets.candidates(request.scheme, params.get("AccountSid", ""))
    signed = verify(request.url, signed_form, request.signature, signers)
    if signed_form.is_unknown:
        learn(signed_form)
    _check_identity(form)
    if signed_form is form:
        _check_query(request.query, params)
        check_split(signed, form, params.get("Body", ""))
    else:
        fields = request.query.split("&")
        check_split(
            signed, EMPTY, next((part[5:] for part in fields if part.startswith("Body=")), "")
        )
    kind = kind_of(params) if signed_form is form or request.method == "GET" else "other"
    return Webhook(kind, pair_of(kind, params), MappingProxyType(params), request.url), signed


def _is_form(content_type: str) -> bool:
    if content_type == FORM:
        return True
    media_type, *parameters = content_type.lower().split(";")
    return media_type.strip() == FORM and all(
        parameter.replace('"', "").strip() in ("", "charset=utf-8") for parameter in parameters
    )


def _check_identity(form: Form) -> None:
    """Each field that decides who talks to whom has one value."""
    params, pairs = form.first, form.pairs
    if pairs is not None:
        names = [name for name, _ in pairs if name in IDENTITY]
        if len(names) != len(set(names)):
            raise RequestError(
                403, "identity", "a field that decides who talks to whom is repeated"
            )
    sid = params.get("MessageSid") or params.get("SmsSid") or params.get("SmsMessageSid")
    if not params.get("SmsSid", sid) == sid == params.get("SmsMessageSid", sid):
        raise RequestError(403, "identity", "the message has two SIDs")


def _check_query(query: str, params: dict[str, str]) -> None:
    """A POST says who talks to whom in its body alone: frameworks may read the query first."""
    if query:
        outside = names_of_query(query) & IDENTITY
        # Without an account in its body it may be a GET webhook's URL, signed as that.
        if outside and (outside & params.keys() or "AccountSid" not in params):
            raise RequestError(
                403, "identity", "a field that decides who talks to whom is in the query"
            )
