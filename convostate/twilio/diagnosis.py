"""Why a signature does not verify: what was checked, and what would have made it valid.

An explanation never holds a query, a parameter or a secret: the URL of a GET webhook carries numbers
and texts. It is for the log and the command line, never for the sender.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from convostate.errors import RequestError
from convostate.twilio.form import Form
from convostate.twilio.signature import Signer, verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


_LONGEST_HINT_CHARS = 255  # RFC 1035 §2.3.4: a host name; a prefix is shorter


class Explanation(NamedTuple):
    """What is known of a signature.

    Attributes:
        valid: It verifies.
        checked: The URL that was checked, without its query.
        reason: What is wrong, in a sentence, or "".
        advice: What to set or to change, or "".
    """

    valid: bool
    checked: str
    reason: str
    advice: str

    @property
    def mends(self) -> bool:
        """Whether something was found with which the signature verifies."""
        return self.reason.startswith("would verify") or self.reason == _OTHER_SECRET[0]

    def __str__(self) -> str:
        if self.valid:
            return f"verifies as {self.checked}"
        return f"checked as {self.checked}: {self.reason}" + (
            f": {self.advice}" if self.advice else ""
        )


class Asked(NamedTuple):
    """A request whose signature is to be explained.

    Attributes:
        url: As it was checked, with its query.
        form: The parameters of a form; empty for GET and JSON.
        signature: The X-Twilio-Signature header.
        signers: The secrets that were tried.
        others: Configured secrets that were not tried: those of other accounts.
        hosts: Other hosts that the request names (X-Forwarded-Host, Forwarded), as hints only.
        prefixes: Paths that a proxy may have cut off (X-Forwarded-Prefix), as hints only.
    """

    url: str
    form: Form
    signature: str
    signers: Sequence[Signer]
    others: Sequence[Signer] = ()
    hosts: Sequence[str] = ()
    prefixes: Sequence[str] = ()


def explain(asked: Asked) -> Explanation:
    """Find out why a signature does not verify by trying what commonly goes wrong on the way.

    Costs one HMAC a try, some hundred in all: for refused requests, at most once a minute, and for the
    command line.
    """
    checked = without_query(asked.url)
    if _verifies(asked, asked.url):
        return Explanation(True, checked, "", "")
    if not asked.signature:
        return Explanation(
            False,
            checked,
            "the request carries no X-Twilio-Signature",
            "if browsers use this path, set CONVOSTATE_PATHS=/sms (the paths that Twilio calls, with commas between)",
        )
    if not asked.signers:
        if any(_verifies(asked._replace(signers=[other]), asked.url) for other in asked.others):
            return Explanation(False, checked, *_OTHER_SECRET)
        return Explanation(False, checked, *_NO_SECRET)
    for url, form, reason, advice in _guesses(asked):
        if _verifies(asked._replace(form=form), url):
            return Explanation(False, checked, reason, advice)
    if any(_verifies(asked._replace(signers=[other]), asked.url) for other in asked.others):
        return Explanation(False, checked, *_OTHER_SECRET)
    reason, advice = _UNKNOWN
    if _is_inside(checked):
        advice = f"{_BEHIND_A_PROXY}. Otherwise {advice}"
    return Explanation(False, checked, reason, advice)


_NO_SECRET = (
    "no configured secret belongs to the account or shared key that it names",
    "add it to CONVOSTATE_ACCOUNT_TOKENS or CONVOSTATE_SHARED_KEYS",
)
_OTHER_SECRET = (
    "it was signed with the token of another configured account",
    (
        "the token of the account that owns the number signs: name it in CONVOSTATE_ACCOUNT_TOKENS, and set "
        "TWILIO_ACCOUNT_SID to the account of TWILIO_AUTH_TOKEN"
    ),
)
_UNKNOWN = (
    "no usual change of the URL or the parameters makes it valid",
    "compare TWILIO_AUTH_TOKEN with the primary token in the Twilio console (a secondary one signs nothing until it is promoted), and CONVOSTATE_PUBLIC_URL with the URL configured there",
)


_BEHIND_A_PROXY = (
    "Twilio was hardly given this host: behind a proxy or a tunnel set "
    "CONVOSTATE_PUBLIC_URL=https://<the host that it was given>"
)
# An IP address, or a name of a network that Twilio is not in.
_is_inside = re.compile(r"https?://(?:\[[^/]*\]|[0-9.]+|localhost|[^/:.]+|[^/:]+\.(?:local|internal|lan))(?::[0-9]+)?(?:/|\Z)").match  # fmt: skip


def without_query(url: str) -> str:
    """Scheme, host, port and path."""
    return url.partition("?")[0].partition("#")[0]


def _verifies(asked: Asked, url: str) -> bool:
    try:
        verify(url, asked.form, asked.signature, asked.signers)
    except (RequestError, UnicodeError):
        return False
    return True


def _guesses(asked: Asked) -> Iterator[tuple[str, Form, str, str]]:
    """Every (URL, parameters) worth a try, with what it would mean and what to do then."""
    whole, mark, _fragment = asked.url.partition("#")
    if mark:
        advice = "leave out what stands behind the #: Twilio does not sign it"
        yield whole, asked.form, "would verify without its fragment", advice
    for origin, path in _places(asked):
        url = origin + path
        if url != asked.url:
            yield (
                url,
                asked.form,
                f"would verify as {without_query(url)}",
                _url_advice(asked.url, origin, path),
            )
    for url, what in _queries(asked.url):
        yield (
            url,
            asked.form,
            what,
            "pass the request on to the app with the query as Twilio sent it",
        )
    filled = Form({name: value for name, value in asked.form.items() if value}, None)
    if len(filled.first) != len(asked.form.first):
        yield (
            asked.url,
            filled,
            "would verify without its blank parameters",
            "sign the parameters as they are sent",
        )
    trimmed = Form({name: value.strip() for name, value in asked.form.items()}, None)
    if trimmed != asked.form:
        yield (
            asked.url,
            trimmed,
            "would verify with blanks trimmed",
            "sign the parameters as they are sent",
        )
    if asked.form.first:
        advice = "the sender signed it as JSON or GET: send it as that, with bodySHA256 in the URL for JSON"
        yield asked.url, Form({}, None), "would verify without its form parameters", advice


def _places(asked: Asked) -> Iterator[tuple[str, str]]:
    """(origin, path and query) of every place the same request may have been addressed to."""
    scheme, _, rest = asked.url.partition("://")
    host, slash, target = rest.partition("/")
    path, mark, query = (slash + target).partition("?")
    bare = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    hosts = dict.fromkeys([bare, host, *asked.hosts])
    slashed = path.rstrip("/") if path.endswith("/") else path + "/"
    spellings = [
        path,
        slashed,
        quote(unquote(path), safe="/;=,:@!$&'()*+~"),
        path.replace("//", "/"),
    ]
    paths = dict.fromkeys(
        [
            *spellings,
            *(prefix.rstrip("/") + path for prefix in asked.prefixes if prefix.startswith("/")),
            # CONVOSTATE_PUBLIC_URL holds more of the path than a proxy cuts off: the whole webhook's, say
            *(
                path[cut.start() :]
                for cut in islice(re.finditer("/", path), 1, 4)
                if cut.start() > 1
            ),
        ]
    )
    for other in dict.fromkeys([scheme, "https", "http"]):
        for name in hosts:
            for spelled in paths:
                yield f"{other}://{name}", spelled + mark + query


def _queries(url: str) -> Iterator[tuple[str, str]]:
    place, mark, query = url.partition("?")
    if not mark:
        return
    fields = query.split("&")
    yield place, "would verify without its query"
    yield f"{place}?{'&'.join(sorted(fields))}", "would verify with its query sorted"
    for safe in ("", "'", "!'()*~", ":@!$'()*,;/?~"):
        again = "&".join(
            "=".join(_respell(part, safe) for part in field.split("=", 1)) for field in fields
        )
        yield f"{place}?{again}", "would verify with its query escaped otherwise"
        yield (
            f"{place}?{again.replace('+', '%20')}",
            "would verify with its query escaped otherwise",
        )
    yield f"{place}?{unquote(query)}", "would verify with its query unescaped"


def _respell(text: str, safe: str) -> str:
    return quote(unquote(text.replace("+", " ")), safe=safe).replace("%20", "+")


def _url_advice(url: str, origin: str, path: str) -> str:
    was = without_query(url)
    spelled = without_query(path)
    at_present = "/" + was.partition("://")[2].partition("/")[2]
    if spelled == at_present:
        return f"set CONVOSTATE_PUBLIC_URL={origin}"
    if at_present.endswith(spelled) and len(at_present) > len(spelled) + 1:
        return f"set CONVOSTATE_PUBLIC_URL={origin}, without {at_present.removesuffix(spelled)}"
    if spelled.endswith(at_present):
        return f"set CONVOSTATE_PUBLIC_URL={origin}{spelled.removesuffix(at_present)}"
    advice = f"configure {origin}{at_present} as the webhook's URL at Twilio"
    return f"{advice}, or route {spelled} to the app" if spelled else advice


def hints(values: Iterable[str]) -> list[str]:
    """The words of forwarding headers that can be a host or a path, for `Asked`; at most eight short ones."""
    words = [
        word.strip().strip('"') for value in values for word in value.replace(";", ",").split(",")
    ]
    named = [
        word.partition("=")[2].strip('"') if word.lower().startswith("host=") else word
        for word in words
    ]
    return [
        word
        for word in named
        if 0 < len(word) <= _LONGEST_HINT_CHARS
        and word.isascii()
        and word.isprintable()
        and "@" not in word
    ][:8]
