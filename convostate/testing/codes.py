"""The Twilio error codes that the simulator reports, with Twilio's descriptions.

Source: https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

ERRORS: dict[int, str] = {
    11100: "Invalid URL format",
    11200: "HTTP retrieval failure",
    11205: "HTTP connection failure",
    11210: "HTTP bad host name",
    11215: "HTTP too many redirects",
    11237: "Certificate invalid: could not find path to certificate",
    11750: "TwiML response body too large",
    11770: "Empty TwiML response body",
    12100: "Document parse failure",
    12102: "The root element must be Response",
    12200: "Schema validation warning",
    12300: "Invalid Content-Type",
    14103: "Invalid Body",
    14106: "Document retrieval limit reached",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service unavailable",
    21201: "No 'To' number specified",
    21205: "Invalid URL",
    21211: "Invalid 'To' Phone Number",
    21213: "Caller phone number is required",
    21220: "Invalid call state",
    21603: "A 'From' phone number is required",
    21604: "'To' phone number is required to send a message",
    21609: "Invalid 'StatusCallback' URL",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A message body or media urls must be specified",
    30007: "Message filtered",
}


def describe(code: int) -> str:
    """A code with its description: ``11200 HTTP retrieval failure``."""
    return f"{code} {ERRORS.get(code, 'see https://www.twilio.com/docs/api/errors')}"
