"""Why a request is refused: what was checked, what would have made it valid, and what to do.

A diagnosis never holds a query, a parameter's value, a number or a secret: the URL of a GET webhook
carries numbers and texts. It is for the log, the command line and the phone page, never for the sender.

Headers such as X-Forwarded-Host are never trusted. They name URLs that are worth a try; one that
Twilio did not sign is never shown.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate, is_form
from convostate.twilio.form import DOCUMENTED, EMPTY, Form, parse_form, parse_query
from convostate.twilio.signature import signed_string, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convostate.twilio.signature import Request, Secrets, Signer

# What one more spelling of a URL takes, signed with the port and without. An HMAC takes 2 µs and 0.7 ns a byte
# (3 ns if the processor has no instructions for SHA-1), and its text 1 ns a byte.
_TRY_NS, _HMAC_NS, _BYTE_NS = 10_000, 2000, 2
_MOST_NS = 5_000_000  # for other URLs and parameters
_MOST_OTHERS_NS = 5_000_000  # for the secrets of other accounts: a thousand of them
# No known webhook is larger: a WhatsApp message with its ads has 16 KiB and 60 fields.
_MOST_REQUEST_BYTES = 32 * 1024
_MOST_FIELDS = 150
_MOST_RESPELLED_CHARS = 4096
_MOST_HINT_CHARS = 255  # RFC 1035 §2.3.4: a host name; a prefix is shorter
_MOST_HINTS = 4  # of one header: proxies in a row
_MOST_ADDED = 8  # parameters of a query that are left out in turn: a proxy may have added one
_MOST_SHOWN_CHARS = 250  # of a URL or a path

# Some webhook URLs hold a phone number: its last two digits are enough to recognise it.
_NUMBER = re.compile(r"(?:(?:\+|%2[Bb])(?:[0-9 ()-]|%20){5,}|[0-9]{5,})([0-9]{2})")
_ORIGIN = re.compile(r"(?P<scheme>[a-z]+)://(?P<host>\[[^/?#\]]*\]|[^/?#:]*)(?::(?P<port>[0-9]+))?")
_AUTHORITY = re.compile(r"(?P<host>\[[^/?#\]]*\]|[^/?#:@]+)(?::(?P<port>[0-9]+))?")
# The element of a list, or the host of an RFC 7239 element.
_HINT = re.compile(r'(?:(?i:host)=)?"?(?P<hint>(?![a-zA-Z]+=)[!#-~]+)"?')
# An IP address, or a name in a network that Twilio cannot reach.
_is_inside = re.compile(r"\[.*\]|[0-9.]+|localhost|[^.]+|.+\.(?:local|internal|lan)").fullmatch

_is_signature = re.compile("(?:[A-Za-z0-9+/]{27}|[A-Za-z0-9+/]{43})=").fullmatch

FIXABLE = "signature"
"""The category of refusals for which the diagnosis tries what would have verified."""

_HOST_HEADERS = ("Host", "X-Forwarded-Host", "Forwarded", "X-Original-Host")
_PREFIX_HEADERS = ("X-Forwarded-Prefix", "X-Script-Name")
# The path as the proxy got it: nginx ingress, IIS, Traefik, Caddy, Envoy.
_PATH_HEADERS = (
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Replaced-Path",
    "X-Forwarded-URI",
    "X-Envoy-Original-Path",
)


class Diagnosis(NamedTuple):
    """What is known about a request.

    Attributes:
        valid: The middleware accepts it.
        checked: The URL that was checked, without its query.
        reason: What is wrong, or "".
        advice: What to do about it, or "".
        fixable: The signature is genuine, and the advice makes it verify.
    """

    valid: bool
    checked: str
    reason: str
    advice: str
    fixable: bool = False

    def __str__(self) -> str:
        if self.valid:
            return f"verifies as {self.checked}"
        return ": ".join(filter(None, (f"checked as {self.checked}", self.reason, self.advice)))


def _no_header(_name: str) -> str:
    return ""


class Arrival(NamedTuple):
    """How a request reached the app, as far as its server knows.

    Attributes:
        target: The path and query that CONVOSTATE_PUBLIC_URL is put before.
        public_url: CONVOSTATE_PUBLIC_URL, or "".
        mount: The part of the path that the server takes for the app's own (SCRIPT_NAME), escaped.
        header: Gives a request header by its name, or "".
        has_inner_proxy_fix: Werkzeug's ProxyFix is inside the middleware.
        test_client: What signs in place of the test client that sent the request, or "".
    """

    target: str
    public_url: str = ""
    mount: str = ""
    header: Callable[[str], str] = _no_header
    has_inner_proxy_fix: bool = False
    test_client: str = ""


def diagnose(
    request: Request, secrets: Secrets, arrival: Callable[[], Arrival | None] = lambda: None
) -> Diagnosis:
    """Judge a request as the middleware does, and find out why it is refused.

    Args:
        request: What arrived.
        secrets: What may have signed it.
        arrival: Gives how it arrived, if that is needed; None if nothing but the request is known.
    """
    try:
        authenticate(request, secrets)
    except Exception as error:  # noqa: BLE001  # what surprises the verification is not proven
        return diagnose_refusal(as_refusal(error), request, secrets, arrival)
    return Diagnosis(True, shown(request.url), "", "")


def as_refusal(error: Exception) -> RequestError:
    """The refusal for an exception that was raised while verifying."""
    if isinstance(error, RequestError):
        return error
    # Neither its text nor its traceback: both may hold parts of the request.
    return RequestError(403, "surprise", f"{type(error).__name__} while verifying it")


def diagnose_refusal(
    error: RequestError,
    request: Request,
    secrets: Secrets,
    arrival: Callable[[], Arrival | None] = lambda: None,
) -> Diagnosis:
    """Say what is wrong with a refused request, and what to do.

    If the signature does not match, it tries what commonly changes on the way. That takes at most 20 ms,
    whatever arrives and whatever is configured.

    Args:
        error: Why it was refused.
        request: What arrived.
        secrets: What may have signed it.
        arrival: As for `diagnose`.
    """
    checked = shown(request.url)
    if error.category == "unsigned":
        known = arrival()
        client = known.test_client if known is not None else ""
        advice = f"{_UNSIGNED}{_IN_A_TEST.format(client)}" if client else _UNSIGNED
        return Diagnosis(False, checked, str(error), advice)
    if error.category != FIXABLE:
        return Diagnosis(False, checked, *_named(error))
    if not _is_signature(request.signature):
        return Diagnosis(False, checked, *_NO_SIGNATURE)
    if (
        len(request.url) + len(request.body) > _MOST_REQUEST_BYTES
        or request.body.count(b"&") > _MOST_FIELDS
    ):
        place = Arrival(_target_of(request.url))
        return Diagnosis(False, checked, _TOO_LONG, _comparison(checked, place))
    form = parse_form(request.body) if is_form(request.content_type) else EMPTY
    account = (form.first or _query_params(request.query)).get("AccountSid", "")
    signers = secrets.candidates(request.scheme, account)
    others = _Trial(request.signature, secrets.every, _MOST_OTHERS_NS)
    if others.verifies(request.url, form):
        return Diagnosis(False, checked, *_OTHER_SECRET, fixable=True)
    if not signers:
        return Diagnosis(False, checked, *_NO_SECRET)
    trial = _Trial(request.signature, signers, _MOST_NS)
    known = arrival()
    place = known or Arrival(_target_of(request.url))
    found = _changed_url(
        request.url, form, place, trial, is_known=known is not None
    ) or _other_change(request, form, trial)
    if found is not None:
        return Diagnosis(False, checked, *found, fixable=True)
    reason = _TOO_LONG if trial.is_exhausted or others.is_exhausted else _UNKNOWN
    return Diagnosis(False, checked, reason, _comparison(checked, place))


def _named(error: RequestError) -> tuple[str, str]:
    """The reason with the parameter's name, and what to do about that parameter."""
    if not error.parameter:
        return str(error), ""
    name = shown(error.parameter)
    advice = "rename the parameter"
    if error.setting:
        is_whole = name == error.parameter
        declare = f"set {error.setting}={name}" if is_whole else f"add its name to {error.setting}"
        advice += f", or if you trust whoever writes its value, {declare}"
    elif error.parameter in DOCUMENTED:  # nobody can rename what Twilio names
        advice = _AMBIGUOUS if error.category == "re-split" else ""
    return f"{error} (parameter {name})", advice


_UNSIGNED = (
    "if browsers use this path, set CONVOSTATE_PATHS=/sms "
    "(the paths that Twilio calls, with commas between)"
)
_IN_A_TEST = "; a test signs with convostate.testing.{}"
_NO_SECRET = (
    "no configured secret belongs to the account or shared key that it names",
    "add it to CONVOSTATE_ACCOUNT_TOKENS or CONVOSTATE_SHARED_KEYS",
)
_OTHER_SECRET = (
    "it was signed with the token of another configured account",
    "name the token of the account that owns the number in CONVOSTATE_ACCOUNT_TOKENS: that one signs. Set TWILIO_ACCOUNT_SID to the account of TWILIO_AUTH_TOKEN",
)
_AMBIGUOUS = (
    "a forged webhook would look the same. If the account writes this text (a button, a list, the name of a "
    "conference), put a blank after the words From and To in it"
)
_UNKNOWN = "no usual change of the URL or the parameters makes it valid"
_TOO_LONG = "the request is too large to try every usual change"
_PATH = "have the proxy pass on the path as Twilio sent it"
_PARAMETERS = "sign the parameters as they are sent"
_PLUS = "escape + as %2B where the numbers are sent: an unescaped + means a blank"
_ESCAPED = "escape them once where they are sent, and give them to convostate explain unescaped"
_NO_SIGNATURE = (
    "X-Twilio-Signature does not hold a signature, which has 28 characters (44 with a shared key)",
    "pass it on or copy it as Twilio sent it: whole, and without quotes, blanks or the header's name",
)
_AS_JSON = "it was signed as JSON or GET: send it the same way, with bodySHA256 in the URL of a JSON webhook"


def _comparison(checked: str, arrival: Arrival) -> str:
    """What to compare if the reason cannot be found."""
    path = arrival.target.partition("?")[0]
    host = _ORIGIN.match(checked)
    intro = ""
    if host is not None and _is_inside(host["host"]):
        intro = "Twilio was probably not configured with this host, so the app is behind a proxy or a tunnel: "
    mount = f"clear the app's SCRIPT_NAME ({shown(arrival.mount)}), or " if arrival.mount else ""
    other = f" (if its path does not end so, {mount}{_PATH})" if path else ""
    secure = ", and with https instead of wss" if checked[:2] == "ws" else ""
    return (
        f"{intro}compare {checked} with the webhook's URL at Twilio. If they differ, set CONVOSTATE_PUBLIC_URL to "
        f"Twilio's URL{_without(path)}{secure}{other}. If they are "
        "the same, compare TWILIO_AUTH_TOKEN with the primary auth token in the Twilio console (a secondary one "
        "signs nothing until it is promoted). If that is right too, something in front of the app changes the query "
        "or a parameter"
    )


def _without(path: str) -> str:
    """What of Twilio's URL is not part of CONVOSTATE_PUBLIC_URL."""
    return f" without its query and without the {shown(path)} at its end" if path else ""


def shown(url: str) -> str:
    """A URL or path for people: without query, control characters and numbers, and not too long."""
    place = url[: 2 * _MOST_REQUEST_BYTES].partition("?")[0].partition("#")[0]
    origin = match[0] if (match := _ORIGIN.match(place)) else ""
    path = place[len(origin) : len(origin) + _MOST_SHOWN_CHARS + 1]
    if len(path) > _MOST_SHOWN_CHARS:
        path = f"{path[:_MOST_SHOWN_CHARS]}…"
    text = origin[:_MOST_SHOWN_CHARS] + _NUMBER.sub(r"***\1", path)
    return "".join(char if char.isprintable() else "?" for char in text)


def _target_of(url: str) -> str:
    """Path and query."""
    match = _ORIGIN.match(url)
    return url[match.end() :] if match else url


def _query_params(query: str) -> dict[str, str]:
    try:
        return parse_query(query).first
    except RequestError:
        return {}


class _Trial:
    """Tries what a signature may cover, until that would take too long.

    Attributes:
        is_exhausted: Something was not tried.
    """

    def __init__(self, signature: str, signers: Sequence[Signer], most_ns: int) -> None:
        self.is_exhausted = False
        self._signature = signature
        self._signers = signers
        self._left_ns = most_ns
        self._form = self._joined = EMPTY

    def verifies(self, url: str, form: Form) -> bool:
        if form is not self._form:
            # One parameter without a name stands for all, so that they are sorted once.
            self._form, self._joined = form, Form({"": signed_string("", form)}, None)
        size = len(url) + len(self._joined.first.get("", ""))
        cost_ns = _TRY_NS + 2 * len(self._signers) * (_HMAC_NS + size * _BYTE_NS)
        if cost_ns > self._left_ns:
            self.is_exhausted = True
            return False
        self._left_ns -= cost_ns
        try:
            verify(url, self._joined, self._signature, self._signers)
        except (RequestError, UnicodeError):
            return False
        return True


def _changed_url(
    url: str, form: Form, place: Arrival, trial: _Trial, *, is_known: bool
) -> tuple[str, str] | None:
    """The reason and the advice, if Twilio signed another scheme, host, port or path."""
    target, mark, query = place.target.partition("?")
    origins = _origins(url, place)
    for kind, prefix, path in _paths(target, place):
        for origin in origins:
            if not trial.verifies(f"{origin}{prefix}{path}{mark}{query}", form):
                if trial.is_exhausted:
                    return None
                continue
            reason = f"would verify as {shown(origin + prefix + path)}"
            # A URL that somebody typed probably has too much of the path in the setting.
            # Twilio itself puts a slash behind the path of a WebSocket.
            slashed = origin[:2] == "ws" and path == f"{target}/"
            if kind == "prefix" or slashed or (kind == "longer" and not is_known):
                return reason, _setting(origin + prefix, path, place)
            if kind == "spelling":
                advice = (
                    f"configure {shown(origin + prefix + target)} as the webhook's URL at Twilio"
                )
                return reason, f"{advice}, or route {shown(path)} to the app" if path else advice
            added = target.removesuffix(path) if kind == "longer" else ""
            if added and added == place.mount:
                return (
                    reason,
                    f"clear the app's SCRIPT_NAME ({shown(added)}), which Twilio's URL does not have",
                )
            without = f", without {shown(added)} before it" if added else ""
            return reason, f"{_PATH}{without}"
    return None


def _setting(value: str, target: str, arrival: Arrival) -> str:
    value = re.sub("^ws", "http", value)  # a WebSocket's URL differs in its scheme alone
    advice = f"set CONVOSTATE_PUBLIC_URL={value}"
    if shown(value) != value:  # the log must not hold it
        advice = f"set CONVOSTATE_PUBLIC_URL to the webhook's URL at Twilio{_without(target)}"
    if arrival.has_inner_proxy_fix:
        return f"wrap ProxyFix around the middleware, not inside it, or {advice}"
    return advice


def _origins(url: str, arrival: Arrival) -> list[str]:
    """Every scheme, host and port that Twilio may have been given, the most likely ones first."""
    checked = _ORIGIN.match(url)
    if checked is None:
        return []
    named = [arrival.public_url.partition("://")[2].partition("/")[0]]
    for name in _HOST_HEADERS:
        named += _hints(arrival.header(name))
    authorities = [match for text in named if (match := _AUTHORITY.fullmatch(text))]
    hosts = dict.fromkeys(match["host"] for match in [checked, *authorities])
    ports = dict.fromkeys(
        match["port"]
        for match in [
            checked,
            *authorities,
            *map(_PORT.fullmatch, _hints(arrival.header("X-Forwarded-Port"))),
        ]
        if match is not None and match["port"]
    )
    scheme = checked["scheme"]
    with_tls = scheme in ("https", "wss")
    schemes = (scheme, scheme[:-1] if with_tls else f"{scheme}s")
    return [
        f"{each}://{host}{port}"
        for port in ("", *(f":{port}" for port in ports))
        for host in hosts
        for each in schemes
    ]


_PORT = re.compile("(?P<port>[0-9]{1,5})")


def _paths(target: str, arrival: Arrival) -> Iterator[tuple[str, str, str]]:
    """Every path that Twilio may have been given: what differs, the prefix, the rest.

    What differs: only the ``prefix``; all of it, because the proxy ``changed`` it; the ``spelling``; or the
    app's path is ``longer``.
    """
    own = arrival.public_url.partition("://")[2].partition("/")[2]
    own = f"/{own}" if own else ""
    prefixes = [own[: cut.start()] for cut in re.finditer("/|$", own)][::-1]
    told = [_hints(arrival.header(name)) for name in _PREFIX_HEADERS]
    for hints in [*told, *([hint] for several in told for hint in several), [arrival.mount]]:
        joined = "".join(hint.rstrip("/") for hint in hints)
        if joined.startswith("/"):
            prefixes += [joined, own + joined]
    urls = [hint for name in _PATH_HEADERS for hint in _hints(arrival.header(name))]
    whole = [path for url in urls if (path := _target_of(url).partition("?")[0])[:1] == "/"]
    prefixes += [path.removesuffix(target).rstrip("/") for path in whole if path.endswith(target)]
    prefixes = list(dict.fromkeys(prefixes))
    yield from (("prefix", prefix, target) for prefix in prefixes)
    yield from (("changed", "", path) for path in whole)
    if len(target) > _MOST_RESPELLED_CHARS:
        return
    slashed = target.rstrip("/") if target.endswith("/") else f"{target}/"
    requoted = quote(unquote(target), safe="/;=,:@!$&'()*+~")
    cuts = [cut.start() for cut in islice(re.finditer("/", target), 4)]
    doubled = [f"{target[:cut]}/{target[cut:]}" for cut in cuts]
    spellings = dict.fromkeys([slashed, requoted, re.sub("/+", "/", target), *doubled])
    shorter = [target[cut:] for cut in cuts[1:]]
    for kind, paths in (("spelling", spellings), ("longer", shorter)):
        yield from ((kind, prefix, path) for path in paths if path != target for prefix in prefixes)


def _hints(header: str) -> list[str]:
    """The hosts, ports or paths in a forwarding header; at most four, and short ones."""
    found = []
    for part in header[: 2 * _MOST_HINTS * _MOST_HINT_CHARS].replace(";", ",").split(","):
        match = _HINT.fullmatch(part.strip())
        if match is not None and len(match["hint"]) <= _MOST_HINT_CHARS:
            found.append(match["hint"])
    return found[:_MOST_HINTS]


def _other_change(request: Request, form: Form, trial: _Trial) -> tuple[str, str] | None:
    """The reason and the advice, if Twilio signed another query or other parameters."""
    if len(request.query) > _MOST_RESPELLED_CHARS or request.query.count("&") > _MOST_FIELDS:
        trial.is_exhausted = True
    else:
        for url, reason in _queries(request.url):
            if trial.verifies(url, form):
                return reason, "have the proxy pass on the query as Twilio sent it"
    if not form.first:
        return None
    for reason, advice, other in _forms(form):
        if trial.verifies(request.url, other):
            return reason, advice
    return None


def _forms(form: Form) -> Iterator[tuple[str, str, Form]]:
    """The reason, the advice, and other parameters that Twilio may have signed."""
    items = form.items()
    filled = [(name, value) for name, value in items if value]
    trimmed = [(name, value.strip()) for name, value in items]
    with_plus = [(name, re.sub(r"^ (?=[0-9])", "+", value)) for name, value in items]
    yield "would verify without its blank parameters", _PARAMETERS, Form({}, filled)
    yield "would verify with blanks trimmed", _PARAMETERS, Form({}, trimmed)
    yield "would verify with + before its numbers", _PLUS, Form({}, with_plus)
    yield "would verify with its parameters unescaped once more", _ESCAPED, _unescaped(items)
    yield "would verify without its form parameters", _AS_JSON, EMPTY


def _unescaped(items: list[tuple[str, str]]) -> Form:
    """The form of a body that was escaped twice, or that convostate explain was given whole."""
    try:
        return parse_form("&".join(map("=".join, items)).encode("ascii"))
    except (RequestError, UnicodeError):
        return EMPTY


def _queries(url: str) -> Iterator[tuple[str, str]]:
    place, mark, query = url.partition("?")
    if not mark:
        return
    fields = query.split("&")
    yield place, "would verify without its query"
    for index in range(min(len(fields), _MOST_ADDED)):
        rest = "&".join(fields[:index] + fields[index + 1 :])
        yield f"{place}?{rest}", "would verify without one parameter of its query"
    yield f"{place}?{'&'.join(sorted(fields))}", "would verify with its query sorted"
    for safe in ("", "'", "!'()*~", ":@!$'()*,;/?~"):
        again = "&".join(
            "=".join(_respell(part, safe) for part in field.split("=", 1)) for field in fields
        )
        for spelled in (again, again.replace("+", "%20")):
            yield f"{place}?{spelled}", "would verify with its query escaped otherwise"
    yield f"{place}?{unquote(query)}", "would verify with its query unescaped"


def _respell(text: str, safe: str) -> str:
    return quote(unquote(text.replace("+", " ")), safe=safe).replace("%20", "+")
