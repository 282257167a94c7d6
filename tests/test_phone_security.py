"""The phone's page is for this machine and its own requests; everybody else is refused."""

from __future__ import annotations

import http.client
import re
import socket
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from werkzeug.test import Client

from convostate.phone.site import PAGE
from tests.phone_board import HERE, PAGE_TOKEN, board
from tests.phoning import phone_server

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(path for path in PAGE.iterdir() if path.is_file())
EVIL = "http://evil.example"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "127.0.0.1", "LOCALHOST"])
def test_a_name_of_this_machine_is_served(host: str) -> None:
    with board() as page:
        visit = page.client.get(f"/?token={PAGE_TOKEN}", headers={"Host": host})
        assert (visit.status_code, visit.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "0.0.0.0:8000",
        "192.168.1.7",
        "",
        "[",
    ],
)
def test_another_host_is_refused_whatever_it_points_to(host: str) -> None:
    with board() as page:
        for path in ("/", "/main.js", "/look", "/nothing"):
            answer = page.client.get(path, headers={"Host": host})
            assert answer.status_code == 421
            assert "Content-Security-Policy" in answer.headers
        answer = page.client.post(
            "/do/text", json={"phone": 0, "body": "hi"}, headers={"Host": host}
        )
        assert answer.status_code == 421
        assert page.bodies("sent") == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HERE},
        {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_page_itself_may_do_things(headers: dict[str, str]) -> None:
    with board() as page:
        answer = page.client.post(
            "/do/text", json={"phone": 0, "body": "hi"}, base_url=HERE, headers=headers
        )
        assert answer.status_code == 200
        assert page.bodies("sent") == ["hi"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_another_site_may_do_nothing_and_see_nothing(headers: dict[str, str]) -> None:
    with board() as page:
        for action in ("text", "move-clock"):
            told = {"phone": 0, "body": "hi", "seconds": 60}
            answer = page.client.post(f"/do/{action}", json=told, base_url=HERE, headers=headers)
            assert answer.status_code == 403
        answer = page.client.get("/look", base_url=HERE, headers=headers)
        assert answer.status_code == 403
        assert b"phones" not in answer.data
        assert page.bodies("sent") == []


def test_a_link_from_elsewhere_opens_the_page_and_nothing_more() -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with board() as page:
        assert page.client.get("/", base_url=HERE, headers=headers).status_code == 200
        assert page.client.get("/look", base_url=HERE, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""]
)
def test_what_a_form_of_another_site_could_send_is_refused(kind: str) -> None:
    with board() as page:
        answer = page.client.post(
            "/do/text", data='{"phone": 0, "body": "hi"}', content_type=kind, base_url=HERE
        )
        assert answer.status_code == 415
        assert page.bodies("sent") == []


def test_o17_the_printed_url_opens_the_page_and_its_token_leaves_the_address_bar() -> None:
    with board() as page:
        visitor = Client(page.client.application)
        opened = visitor.get(f"/?token={PAGE_TOKEN}", base_url=HERE)
        cookie = opened.headers["Set-Cookie"]

        assert (opened.status_code, opened.headers["Location"]) == (303, "/")
        assert cookie.startswith(f"convostate-phone-8000={PAGE_TOKEN}; HttpOnly; ")
        assert "SameSite=Lax" in cookie
        assert visitor.get("/", base_url=HERE).status_code == 200
        assert visitor.get("/look", base_url=HERE).status_code == 200


@pytest.mark.parametrize("cookie", [None, "", "the-page-s-toke", "\u00fc", f"{PAGE_TOKEN}x"])
def test_o17_whoever_has_not_seen_the_printed_url_sees_and_does_nothing(cookie: str | None) -> None:
    with board() as page:
        stranger = Client(page.client.application)
        if cookie is not None:
            stranger.set_cookie("convostate-phone-8000", cookie, domain="127.0.0.1")
        paths = ["/", "/look", "/main.js", "/nothing", f"/?token={cookie or ''}", "/?token="]
        answers = [stranger.get(path, base_url=HERE) for path in paths]
        done = stranger.post("/do/text", json={"phone": 0, "body": "hi"}, base_url=HERE)

        assert {answer.status_code for answer in (*answers, done)} == {403}
        assert "convostate phone has printed" in answers[0].text
        assert not any("Set-Cookie" in answer.headers for answer in answers)
        assert page.bodies("sent") == []


def test_o17_a_token_opens_no_other_path_and_no_other_port() -> None:
    with board() as page:
        stranger = Client(page.client.application)
        assert stranger.get(f"/look?token={PAGE_TOKEN}", base_url=HERE).status_code == 403
        stranger.set_cookie("convostate-phone-8000", PAGE_TOKEN, domain="127.0.0.1")
        assert stranger.get("/look", base_url="http://127.0.0.1:8001").status_code == 403


@pytest.mark.slow
def test_o17_each_start_has_a_token_of_its_own() -> None:
    with phone_server() as one, phone_server() as other:
        tokens = {urlsplit(url).query for url in (one, other)}

    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


def test_nothing_is_done_by_a_get() -> None:
    with board() as page:
        assert page.client.get("/do/resend?phone=0", base_url=HERE).status_code == 405


@pytest.mark.parametrize(
    "name", ["nothing", "..%2fsite.py", "%2e%2e/site.py", "../site.py", "..%5csite.py"]
)
def test_only_the_page_s_own_files_are_given_out(name: str) -> None:
    with board() as page:
        assert page.client.get(f"/{name}", base_url=HERE).status_code == 404


@pytest.mark.parametrize("path", ["/", *(f"/{file.name}" for file in FILES), "/look"])
def test_every_answer_says_what_the_page_may_do(path: str) -> None:
    with board() as page:
        answer = page.client.get(path, base_url=HERE)

    assert answer.status_code == 200
    policy = dict(
        directive.split(" ", 1)
        for directive in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_files_name_nothing_elsewhere() -> None:
    assert {path.suffix for path in FILES} == {".html", ".css", ".js", ".svg"}
    allowed = {"http://www.w3.org/2000/svg", "https://example.com/cat.jpg"}  # a name, a placeholder
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"""(?:https?:)?//[\w.-]+\.\w[^\s"'`<)]*""", text)) <= allowed, path
        assert "@import" not in text
        assert "url(" not in text


class Inline(HTMLParser):
    """Finds what the policy would stop, and what is opened and not closed."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_has_no_inline_script_or_style_and_is_well_formed() -> None:
    parser = Inline()
    parser.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    parser.close()

    assert parser.found == []
    assert parser.open == []


def test_the_scripts_never_read_text_as_html_or_code() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, path


@pytest.fixture
def served() -> Iterator[str]:
    with phone_server() as url:
        yield url


def test_it_listens_on_loopback_only(served: str) -> None:
    port = urlsplit(served).port
    assert port is not None
    # a server on all addresses would answer here as well
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.2", port)) != 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)  # seconds
    statuses = []
    for host in ("rebound.example", f"127.0.0.1:{port}"):
        connection.request("GET", f"/?{urlsplit(served).query}", headers={"Host": host})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()

    assert statuses == [421, 303]
