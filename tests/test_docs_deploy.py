"""What the pages on deploying show runs as it is written; only ports and paths are the test's own."""

from __future__ import annotations

import asyncio
import base64
import configparser
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from convostate import Settings, UsageError
from convostate.testing import TwilioSimulator
from tests.documentation import PAGES, blocks, python_files
from tests.packaged import closure, install
from tests.redis_servers import free_port, wait_until
from tests.served import KEY
from tests.serving import BIN, PATIENCE_S, START_S, running
from tests.test_redis_tls_acl import make_certificate, tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.packaged import Built
    from tests.serving import Server

pytestmark = pytest.mark.slow

ADA = "+15550100001"
FILLING = """
import secrets

from bot import app
from flask import session


@app.before_request
def fill():
    session["filling"] = secrets.token_urlsafe(3000)[:2800]
"""


def block(page: str, language: str, containing: str = "") -> str:
    """The first block of a page in a language."""
    return next(
        one.text
        for one in blocks(PAGES / f"deploy/{page}.md")
        if one.language == language and containing in one.text
    )


def as_docker_reads(text: str) -> dict[str, str]:
    """Everything after the first `=` is the value."""
    lines = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in lines}


def env_file() -> str:
    """The env file of the page, with a real key in it."""
    return block("index", "sh", "TWILIO_AUTH_TOKEN=").replace("the-key-from-convostate-keygen", KEY)


SETTINGS = as_docker_reads(env_file())
TOKEN = SETTINGS["TWILIO_AUTH_TOKEN"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with the files that the pages show."""
    for name, text in python_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "filling.py").write_text(FILLING, encoding="utf-8")
    return tmp_path


def served(
    words: list[str], folder: Path, environ: dict[str, str]
) -> AbstractContextManager[Server]:
    """Run a server's command of the page on a free port."""
    port = str(free_port())
    ports = {"8000": port, "127.0.0.1:8000": f"127.0.0.1:{port}"}
    ports["0.0.0.0:8000"] = ports["127.0.0.1:8000"]
    own = [ports.get(word, word) for word in words]
    assert own != words
    return running(own, folder, {"PATH": os.environ["PATH"], **environ})


def gunicorn(app: str = "bot:app") -> list[str]:
    """The command of the page, with gunicorn from this environment."""
    [line] = re.findall(r"^gunicorn .*bot:app$", block("servers", "sh"), re.MULTILINE)
    name, *words = shlex.split(line)
    return [str(BIN / name), *words[:-1], app]


def texts(url: str) -> list[str]:
    """What two texts to the deployed app are answered."""
    simulator = TwilioSimulator(url, TOKEN, f"{SETTINGS['CONVOSTATE_PUBLIC_URL']}/sms")
    phone = simulator.phone(ADA)
    return [message for _ in range(2) for message in phone.text("hi").messages]


@pytest.mark.parametrize(
    ("shown", "is_whole"), [(True, True), (False, False)], ids=["env", "source"]
)
def test_a_command_reads_from_the_env_file_what_docker_does(
    shown: bool, is_whole: bool, tmp_path: Path
) -> None:
    written = {**SETTINGS, "CONVOSTATE_STORE": "redis://h:p$1@h:1/0?max_connections=9&db=2"}
    lines = "".join(f"{name}={value}\n" for name, value in written.items())
    (tmp_path / "bot.env").write_text(lines, encoding="utf-8")
    command = block("index", "sh", "convostate doctor")
    own = command.replace(
        "convostate doctor bot:app",
        "python -c 'import json, os; print(json.dumps(dict(os.environ)))'",
    )
    assert own != command
    said = subprocess.run(
        ["bash", "-c", own if shown else own.replace("env $(cat bot.env)", "set -a; . ./bot.env;")],
        cwd=tmp_path,
        env={"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )

    read = json.loads(said.stdout)
    assert as_docker_reads(lines) == written
    assert ({name: read.get(name) for name in written} == written) is is_whole
    assert Settings.from_environ(SETTINGS).paths == ("/sms",)


@pytest.mark.parametrize("name", ["CONVOSTATE_KEYS", "TWILIO_AUTH_TOKEN"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_o9_an_env_file_s_quotes_are_named(quote: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is in quotes"):
        Settings.from_environ({**SETTINGS, name: f"{quote}{SETTINGS[name]}{quote}"})


def test_gunicorn_serves_the_app(folder: Path) -> None:
    with served(gunicorn(), folder, SETTINGS) as server:
        assert texts(server.url) == ["Text 1", "Text 2"]
        checked = TwilioSimulator(f"http://{server.host}/healthz", TOKEN)
        assert checked.phone(ADA).text("no signature is looked at").status == 405  # GET alone


def test_the_systemd_unit_starts_the_same_server(folder: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read_string(block("servers", "systemd"))
    service = dict(unit["Service"])
    command = shlex.split(service["ExecStart"])

    assert command[1:] == gunicorn()[1:]
    assert command[0].startswith(f"{service['WorkingDirectory']}/.venv/bin/")
    assert service["EnvironmentFile"] == "/etc/bot.env"
    with served([str(BIN / Path(command[0]).name), *command[1:]], folder, SETTINGS) as server:
        assert texts(server.url) == ["Text 1", "Text 2"]
        # What ExecReload sends: new workers, on the same socket.
        assert service["ExecReload"] == "/bin/kill -s HUP $MAINPID"
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "".join(server.log).count("Booting worker") == 4)
        assert texts(server.url) == ["Text 1", "Text 2"]


def asgi_command(server: str) -> list[str]:
    """The command of the page that starts a server, from this environment."""
    [line] = re.findall(rf"^{server} .*$", block("uvicorn", "sh", f"{server} --"), re.MULTILINE)
    name, *words = shlex.split(line)
    return [str(BIN / name), *words]


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian", "daphne"])
def test_the_asgi_servers_serve_the_app(server: str, folder: Path) -> None:
    with served(asgi_command(server), folder, SETTINGS) as started:
        if server == "granian":  # it does not end while a worker is starting
            wait_until(lambda: "Started worker-2" in "".join(started.log))
        assert texts(started.url) == ["Text 1", "Text 2"]


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian"])
def test_an_asgi_server_does_not_start_with_a_wrong_setting(server: str, folder: Path) -> None:
    done = subprocess.run(
        [word.replace("8000", str(free_port())) for word in asgi_command(server)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **SETTINGS, "CONVOSTATE_LIFETIME": "9h"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_S,
        check=False,
    )

    assert "CONVOSTATE_LIFETIME must be from 60 s to 4 h" in done.stdout


def test_daphne_answers_500_and_logs_a_wrong_setting(folder: Path) -> None:
    wrong = {**SETTINGS, "CONVOSTATE_LIFETIME": "9h"}
    with served(asgi_command("daphne"), folder, wrong) as started:
        phone = TwilioSimulator(started.url, TOKEN, "https://example.com/sms").phone(ADA)
        assert phone.text("hi").status == 500
        wait_until(lambda: "CONVOSTATE_LIFETIME must be from 60 s to 4 h" in "".join(started.log))


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


@contextmanager
def nginx(site: str, folder: Path, app: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run nginx with a site, and give the URL of its webhook."""
    key, certificate = make_certificate(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port = free_port()
    for theirs, ours in {
        "443": f"127.0.0.1:{port}",
        "127.0.0.1:8000": app.host,
        "/etc/ssl/example.com/fullchain.pem": str(certificate),
        "/etc/ssl/example.com/privkey.pem": str(key),
    }.items():
        assert theirs in site
        site = site.replace(theirs, ours)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}{site}}}\n",
        encoding="utf-8",
    )
    with subprocess.Popen(
        ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin"},
    ) as process:
        try:
            wait_until(lambda: listens(port))
            yield f"https://127.0.0.1:{port}/bots/sms"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


BUFFERS = re.compile(r"^ *proxy_buffer.*\n", re.MULTILINE)


@pytest.mark.parametrize(
    ("prefix_is_said", "room", "error"),
    [(True, True, None), (False, True, 11200), (True, False, 11200)],
    ids=["as shown", "public_url without the prefix", "without the buffers"],
)
def test_nginx_with_a_stripped_prefix(
    prefix_is_said: bool,
    room: bool,
    error: int | None,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = block("nginx", "nginx")
    environ = SETTINGS | (as_docker_reads(block("nginx", "sh")) if prefix_is_said else {})

    with ExitStack() as stack:
        app = stack.enter_context(served(gunicorn("filling:app"), folder, environ))
        site = site if room else BUFFERS.sub("", site)
        url = stack.enter_context(nginx(site, folder, app, monkeypatch))
        simulator = TwilioSimulator(url, TOKEN, "https://example.com/bots/sms")
        phone = simulator.phone(ADA)
        replies = [phone.text("hi"), phone.text("again")]

    assert [reply.error for reply in replies] == [error, error]
    if not prefix_is_said:
        assert "set CONVOSTATE_PUBLIC_URL=https://example.com/bots" in "".join(app.log)
    if error is None:
        assert [reply.messages for reply in replies] == [["Text 1"], ["Text 2"]]
        assert len(replies[0].headers["Set-Cookie"]) > 3800


def test_the_dockerfile_s_steps_in_an_empty_environment(
    built: Built, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    steps = re.findall(r"^([A-Z]+) (.*)$", block("docker", "dockerfile"), re.MULTILINE)
    assert [name for name, _ in steps] == [
        "FROM", "WORKDIR", "COPY", "RUN", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "CMD",
    ]  # fmt: skip
    copied = [what.split()[0] for name, what in steps if name == "COPY"]
    assert copied == ["requirements.txt", "bot.py"]
    required = block("docker", "text").split()
    assert required == ["convostate[redis]", "flask", "gunicorn"]

    image = install(built.wheel, tmp_path_factory.mktemp("image"))
    image.add(*closure("convostate", "redis", "hiredis", "flask", "gunicorn") - {"convostate"})
    (image.home / "bot.py").write_text((folder / "bot.py").read_text(), encoding="utf-8")
    words = json.loads(dict(steps)["CMD"])
    check = dict(steps)["HEALTHCHECK"].removeprefix("CMD ")
    environ = {**SETTINGS, "PATH": str(image.bin)}
    with served([str(image.bin / "python"), "-m", *words], image.home, environ) as server:
        assert texts(server.url) == ["Text 1", "Text 2"]
        own = check.replace("127.0.0.1:8000", server.host)
        assert own != check
        for line, status in ((own, 0), (own.replace("healthz", "sms"), 1)):
            done = subprocess.run(
                shlex.split(line), env={"PATH": str(image.bin)}, check=False, capture_output=True
            )
            assert done.returncode == status


def test_the_procfile_takes_the_platform_s_port_and_its_redis(folder: Path) -> None:
    [command] = re.findall(r"^web: (.*)$", block("platforms", "text", "web: "), re.MULTILINE)

    with tls_server(folder) as (port, _):
        environ = {**SETTINGS, "REDIS_URL": f"rediss://127.0.0.1:{port}"}
        environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
        command = command.replace("0.0.0.0:", "127.0.0.1:")
        words = ["sh", "-c", f"PORT=$0; exec env {command}", "8000"]
        with served(words, folder, environ) as server:
            assert texts(server.url) == ["Text 1", "Text 2"]
        checked = {**environ, "CONVOSTATE_STORE": environ["REDIS_URL"]}
        refused = subprocess.run(
            ["convostate", "doctor"], env=checked, capture_output=True, text=True, check=False
        )
        assert "name the issuer's certificate in ssl_ca_certs" in refused.stdout


def test_kubernetes_probes_the_path_of_the_health_check() -> None:
    manifest = block("platforms", "yaml")
    paths = re.findall(r"path: (/\w+), port: (\d+)", manifest)

    assert paths == [("/healthz", "8000")] * 2
    assert '@app.get("/healthz")' in python_files()["bot.py"]
    [grace] = re.findall(r"terminationGracePeriodSeconds: (\d+)", manifest)
    [before] = re.findall(r'command: \[sleep, "(\d+)"\]', manifest)
    assert int(grace) > int(before) + 30  # gunicorn's --graceful-timeout


def lambda_event(request: Request) -> dict[str, Any]:
    """The event of a Function URL, format 2.0.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    cookies = headers.pop("cookie", "")
    return {
        "version": "2.0",
        "rawPath": request.path,
        "rawQueryString": request.query_string.decode(),
        **({"cookies": cookies.split("; ")} if cookies else {}),
        "headers": {
            **headers,
            "host": "abc.lambda-url.eu-central-1.on.aws",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
            }
        },
        "body": base64.b64encode(request.get_data()).decode(),
        "isBase64Encoded": True,
    }


@pytest.fixture
def loop_of_the_thread() -> Iterator[None]:
    """Mangum takes the event loop of its thread, makes one if there is none, and never closes it."""
    with closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)
        yield
        asyncio.set_event_loop(None)


@pytest.mark.usefixtures("loop_of_the_thread")
@pytest.mark.parametrize("function", ["lambda_function", "lambda_function_async"])
@pytest.mark.parametrize(
    "public_url", ["https://abc.lambda-url.eu-central-1.on.aws", "https://example.com"]
)
def test_a_lambda_function_answers_its_events(
    public_url: str, function: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SETTINGS, "CONVOSTATE_PUBLIC_URL": public_url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(folder))
    for name in python_files():
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    lambda_handler = import_module(function).lambda_handler

    @Request.application
    def function_url(request: Request) -> Response:
        answered = lambda_handler(lambda_event(request), object())
        body = answered["body"]
        if answered["isBase64Encoded"]:
            body = base64.b64decode(body)
        response = Response(body, answered["statusCode"], answered["headers"])
        for cookie in answered.get("cookies", ()):
            response.headers.add("Set-Cookie", cookie)
        return response

    def in_front(environ: Any, respond: Any) -> Any:
        return function_url(environ, respond)

    simulator = TwilioSimulator(in_front, TOKEN, f"{public_url}/sms")
    phone = simulator.phone(ADA)
    assert [phone.text("hi").messages for _ in range(2)] == [["Text 1"], ["Text 2"]]
    phone.break_signature()
    assert phone.text("hi").status == 403
    for name in python_files():
        sys.modules.pop(name.removesuffix(".py"), None)
