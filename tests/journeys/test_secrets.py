"""Credentials of package indexes, and secrets in logs, are in no argument, journal, plan, document or report."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from doctor import doctor
from paddlevl_doctor.packages.credentials import mask, reveal
from small_stack import small_stack
from wheels import index, wheel

SECRET = "hunter22"  # noqa: S105 - no real one
ARGUMENTS = """
import json, os, sys
def hook(event, args):
    if event in ("subprocess.Popen", "os.exec"):
        with open(os.environ["ARGUMENTS"], "a") as file:
            file.write(json.dumps([str(word) for word in args[1]]) + "\\n")
sys.addaudithook(hook)
"""
"""A sitecustomize that writes the arguments of every process that a Python process starts."""


@dataclass
class Index:
    """A package index that requires a login or a query, and how many requests it refused."""

    port: int
    refused: list[str] = field(default_factory=list)


@contextlib.contextmanager
def guarded(login: str | None = None, query: str = "", tls: ssl.SSLContext | None = None) -> Iterator[Index]:
    files = index(wheel("numpy", "2.3.5"))
    wanted = login and f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, asked = self.path.partition("?")
            by_query = not query or asked == query or path.startswith("/files/")
            if not by_query or (wanted and self.headers.get("Authorization") != wanted):
                state.refused.append(self.path)
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic realm=index")
                self.end_headers()
                return
            data = files.get(path[1:])
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if path.endswith("/") else "application/zip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_HEAD = do_GET  # noqa: N815 - the name of http.server

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        state = Index(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield state
        server.shutdown()


def pip_conf(folder: Path, lines: str) -> dict[str, str]:
    file = folder / "pip.conf"
    file.write_text(f"[global]\n{lines}\n", encoding="utf-8")
    file.chmod(0o600)
    return {"PIP_CONFIG_FILE": str(file)}


@pytest.mark.parametrize("source", ["given", "pip"])
def test_the_login_of_an_index_is_nowhere_but_in_the_environment_of_uv(source: str, tmp_path: Path) -> None:
    small_stack(tmp_path / ".venv")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ARGUMENTS, encoding="utf-8")
    env = {"PYTHONPATH": str(tmp_path / "site"), "ARGUMENTS": str(tmp_path / "arguments")}
    env["UV_CACHE_DIR"] = str(tmp_path / "cache")
    login, query = ("bob:hun@t/er22", "") if source == "given" else (None, f"key={SECRET}")
    with guarded(login, query) as server:
        words = ["--only", "numpy-2-4-scalar"]
        if source == "given":
            words += ["--mirror", f"http://{login}@127.0.0.1:{server.port}/simple"]
        else:
            env |= pip_conf(tmp_path, f"index-url = http://127.0.0.1:{server.port}/simple?{query}")
        plan = doctor("fix", *words, "-v", cwd=tmp_path, env=env)
        saved = doctor("fix", *words, "--output", "plan.json", cwd=tmp_path, env=env)
        cure = doctor("fix", *words, "--apply", "--format", "json", cwd=tmp_path, env=env)
    assert (plan.code, saved.code, cure.code) == (1, 1, 0), (plan, saved, cure.stderr)
    started = [json.loads(line) for line in (tmp_path / "arguments").read_text(encoding="utf-8").splitlines()]
    assert any("install" in line for line in started)
    journals = list(tmp_path.rglob("*.jsonl"))
    assert journals
    shown = [plan.stdout, plan.stderr, saved.stderr, cure.stdout, cure.stderr, json.dumps(started)]
    shown += [path.read_text(encoding="utf-8") for path in (*journals, tmp_path / "plan.json")]
    assert [text for text in shown if SECRET in text or "er22" in text] == []
    assert "http://***@127.0.0.1" in plan.stdout or "simple?key=***" in plan.stdout


URLS = {
    "http://bob:hunter22@h/simple": ("http://***@h/simple", "http://bob:hunter22@h/simple"),
    "http://:hunter22@h/simple": ("http://***@h/simple", "http://:hunter22@h/simple"),
    "http://hunter22@h/simple": ("http://***@h/simple", "http://hunter22@h/simple"),
    "http://bob:a/b@h.example/simple": ("http://***@h.example/simple", "http://bob:a%2Fb@h.example/simple"),
    "http://bob:a@b@h.example/simple": ("http://***@h.example/simple", "http://bob:a%40b@h.example/simple"),
    "http://bob:a%2Fb@h:80/simple": ("http://***@h:80/simple", "http://bob:a%2Fb@h:80/simple"),
    "http://h/simple?key=hunter22": ("http://h/simple?key=***", "http://h/simple?key=hunter22"),
    "http://h/simple?a=hunter22&b=c": ("http://h/simple?a=***&b=***", "http://h/simple?a=hunter22&b=c"),
}


def test_a_masked_url_is_real_in_uvs_environment_and_other_indexes_keep_their_order() -> None:
    for url, (shown, real) in URLS.items():
        masked = mask(url)
        assert masked.replace("****", "***").replace("****", "***") == shown
        words = ("uv", "pip", "install", "--default-index", masked, "--index", "http://x/simple", "numpy")
        left, variables = reveal(words)
        assert (left, variables) == (
            ("uv", "pip", "install", "--index", "http://x/simple", "numpy"),
            {"UV_DEFAULT_INDEX": real},
        )
        words = ("uv", "--index", "http://x/simple", "--index", masked, "numpy")
        assert reveal(words) == (("uv", "numpy"), {"UV_INDEX": f"http://x/simple {real}"})
    plain = ("uv", "--default-index", "http://h/simple", "numpy")
    assert (mask("http://h/simple"), reveal(plain)) == ("http://h/simple", (plain, {}))


LOG = """\
AWS_SECRET_ACCESS_KEY=hunter22
config = {'token': 'hunter22', "password": "hunter22"}
run --password hunter22 -p hunter22
the password is hunter22
Looking in indexes: https://bob:hunter22@mirror.example/simple, https://:hunter22@h/simple?key=hunter22
Traceback (most recent call last):
  File "x.py", line 1, in <module>
    connect(token='hunter22')
NoSuchError: AWS_SECRET_ACCESS_KEY=hunter22 'token': 'hunter22' --password hunter22 -p hunter22 password is hunter22
RuntimeError: (NotFound) There are no kernels which are registered in the fused_rms_norm_ext operator, token=hunter22
"""


def test_no_output_of_explain_shows_a_secret_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(LOG, encoding="utf-8")
    for form in ("console", "markdown", "json"):
        answer = doctor("explain", "log.txt", "--format", form, cwd=tmp_path)
        assert (answer.code, SECRET in answer.stdout + answer.stderr) == (1, False), answer.stdout
        assert "***" in answer.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The certificate of a new authority, and the context of a server that it signed."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text(
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n", encoding="utf-8"
    )
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout"
    for command in (
        f"{new} ca.key -x509 -days 2 -subj /CN=Authority -out ca.pem",
        f"{new} key.pem -subj /CN=localhost -out request.pem",
        "openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out cert.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "ca.pem", context


def test_pips_certificates_are_uvs_and_an_unknown_issuer_is_explained(
    authority: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    cert, context = authority
    small_stack(tmp_path / ".venv")
    words = ("fix", "--only", "numpy-2-4-scalar", "--format", "json")
    with guarded(tls=context) as server:
        url = f"https://127.0.0.1:{server.port}/simple"
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        cache = {"UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0", **dict.fromkeys(names, "")}
        unknown = doctor(*words, cwd=tmp_path, env={**cache, **pip_conf(tmp_path, f"index-url = {url}")})
        trusted = pip_conf(tmp_path, f"index-url = {url}\ncert = {cert}")
        known = doctor(*words, cwd=tmp_path, env={**cache, **trusted})
    assert (known.code, unknown.code) == (1, 1)
    assert [step["kind"] for step in known.document["plan"]["steps"]] == ["install-packages"], known.stderr
    assert all(name in unknown.stderr for name in ("SSL_CERT_FILE", "`cert`", "UV_SYSTEM_CERTS"))
