"""What the npm package `twilio` accepts, as recorded: it needs Node.js, which the tests do without.

Record anew, in a folder with `npm install twilio`: `python -m tests.npm_twilio FOLDER`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.served import FORM, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostate.twilio.signature import Request

RECORD = Path(__file__).with_suffix(".json")
# As its own middleware calls it, behind Express' parser of forms.
_ASK = """
const { validateIncomingRequest } = require("twilio/lib/webhooks/webhooks");
const { parse } = require("querystring");
const asked = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const answers = asked.map(({ token, url, signature, form, body }) => {
  const request = { body: form ? parse(body) : {}, rawBody: body, header: () => signature };
  try { return validateIncomingRequest(request, token, { url }); } catch { return false; }
});
const { version } = require("twilio/package.json");
console.log(JSON.stringify({ version, answers }));
"""


def recorded() -> dict[str, Any]:
    """The version that was asked, a hash of the names of the requests, and those that it accepts."""
    return json.loads(RECORD.read_text("utf-8"))  # type: ignore[no-any-return]


def hash_of(names: Iterable[str]) -> str:
    """What changes if other requests are to be compared than were recorded."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def ask(requests: Iterable[Request], folder: str) -> dict[str, Any]:
    """The version in a folder, and what it says of each."""
    asked = [
        {"token": TOKEN, "url": each.url, "signature": each.signature,
         "form": each.content_type.startswith(FORM), "body": each.body.decode()}
        for each in requests
    ]  # fmt: skip
    done = subprocess.run(
        ["node", "-e", _ASK], input=json.dumps(asked), cwd=folder, capture_output=True, text=True, check=True
    )  # fmt: skip
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main(folder: str) -> None:
    from tests.test_npm_oracle import REQUESTS  # which compares them

    said = ask(REQUESTS.values(), folder)
    accepted = [name for name, answer in zip(REQUESTS, said["answers"], strict=True) if answer]
    record = {"version": said["version"], "asked": hash_of(REQUESTS), "accepted": accepted}
    RECORD.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
