"""``mrlspk pretrained`` against a server on this machine."""

import errno
import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.pretrained import download

NAME, FILE = "redimnet-M-vb2-ptn", "M-vb2-ptn.pt"  # its SHA-256 is not known beforehand
MIXED, MIXED_FILE = "redimnet-S-vb2+vox2+cnc-ft_mix", "S-vb2%2Bvox2%2Bcnc-ft_mix.pt"
BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers each request with the next of ``answers``, and with the last of them from then on."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = ["good"], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.requests.append(self.path)
        if isinstance(answer, int):
            self.send_error(answer)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[: len(BODY) // 2] if answer == "short" else BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path, server):
    """Fetch through the server into an empty cache, with no pause between attempts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MRLSPK_MIRROR", server.url)
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.0)


def pretrained(*arguments):
    return CliRunner().invoke(app, ["pretrained", *arguments])


def fetch(*arguments):
    return pretrained("fetch", *arguments)


def kept_files(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_fetch_downloads_and_reports(server, tmp_path):
    result = fetch(NAME, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    path = tmp_path / "cache" / f"{NAME}.pt"
    assert path.read_bytes() == BODY
    assert (document["schema_version"], document["command"]) == (1, "pretrained fetch")
    assert {key: document[key] for key in ("name", "path", "sha256", "bytes")} == {
        "name": NAME,
        "path": str(path),
        "sha256": SHA256,
        "bytes": len(BODY),
    }
    assert server.requests == [f"/{FILE}"]


def test_second_fetch_asks_no_server(server):
    first, second = fetch(NAME, "--json"), fetch(NAME, "--json")
    assert second.stdout == first.stdout
    assert len(server.requests) == 1


def test_force_fetches_again(server):
    fetch(NAME)
    assert fetch(NAME, "--force").exit_code == 0
    assert len(server.requests) == 2


def test_plus_is_sent_escaped(server, tmp_path):
    assert fetch(MIXED).exit_code == 0
    assert server.requests == [f"/{MIXED_FILE}"]
    assert f"{MIXED}.pt" in kept_files(tmp_path)


def test_address_is_fetched_as_given(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:1")
    result = fetch(f"{server.url}/some/where/model.pt?version=2", "--sha256", SHA256, "--json")
    assert result.exit_code == 0, result.output
    assert server.requests == ["/some/where/model.pt?version=2"]
    assert kept_files(tmp_path) == ["model.pt", "model.pt.sha256"]


def test_equal_file_names_of_two_addresses_stay_apart(server):
    paths = {json.loads(fetch(f"{server.url}/{place}/model.pt", "--json").stdout)["path"] for place in "ab"}
    assert len(paths) == 2


def test_cache_dir_flag_stands_over_the_environment(tmp_path):
    fetch(NAME, "--cache-dir", str(tmp_path / "other"))
    assert (tmp_path / "other" / f"{NAME}.pt").is_file()
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize("answers", [[503, "good"], [500, 429, "good"], ["short", "good"]])
def test_passing_failures_are_tried_again(server, tmp_path, answers):
    server.answers = list(answers)
    result = fetch(NAME)
    assert result.exit_code == 0, result.output
    assert len(server.requests) == len(answers)
    assert (tmp_path / "cache" / f"{NAME}.pt").read_bytes() == BODY
    assert kept_files(tmp_path) == [f"{NAME}.pt", f"{NAME}.pt.sha256"]


@pytest.mark.parametrize(
    ("answer", "n_requests", "message"),
    [
        ("short", 4, "the connection broke off"),
        (503, 4, "the server answered 503 Service Unavailable, in 4 attempts"),
        (404, 1, "the server answered 404 Not Found"),
        (403, 1, "the server answered 403 Forbidden"),
    ],
)
def test_lasting_failure_leaves_nothing(server, tmp_path, answer, n_requests, message):
    server.answers = [answer]
    result = fetch(NAME)
    assert result.exit_code == 4
    assert message in result.stderr
    assert f"{server.url}/{FILE}" in result.stderr
    assert "MRLSPK_MIRROR" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert len(server.requests) == n_requests
    assert kept_files(tmp_path) == []


@pytest.mark.parametrize(
    ("failure", "exit_code", "message"),
    [(OSError(errno.ENOSPC, "No space left on device"), 4, "No space left on device"), (KeyboardInterrupt(), 130, "")],
)
def test_full_disk_and_interrupt_leave_nothing(tmp_path, monkeypatch, failure, exit_code, message):
    def fail(_file):
        assert len(list((tmp_path / "cache").iterdir())) == 1
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    result = fetch(NAME)
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert kept_files(tmp_path) == []


def test_wrong_hash_leaves_nothing(server, tmp_path):
    result = fetch(NAME, "--sha256", "0" * 64)
    assert result.exit_code == 4
    assert f"expected SHA-256 {'0' * 64}, got {SHA256}" in result.stderr
    assert len(server.requests) == 1
    assert kept_files(tmp_path) == []


def test_published_hash_is_checked(tmp_path):
    result = fetch("redimnet-b2-vox2-ft_lm")
    assert result.exit_code == 4
    assert "expected SHA-256 c9b6bb2f" in result.stderr
    assert kept_files(tmp_path) == []


def test_damaged_cached_file_is_refused_until_forced(tmp_path):
    fetch(NAME)
    path = tmp_path / "cache" / f"{NAME}.pt"
    path.write_bytes(BODY[:-1])
    refused = fetch(NAME)
    assert refused.exit_code == 4
    assert str(path) in refused.stderr
    assert "--force" in refused.stderr
    assert fetch(NAME, "--force").exit_code == 0
    assert path.read_bytes() == BODY


def test_no_server_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:1")
    result = fetch(NAME)
    assert result.exit_code == 4
    assert "no connection to the server" in result.stderr
    assert kept_files(tmp_path) == []


def test_offline_asks_no_server_and_uses_what_is_here(server):
    missing = fetch(NAME, "--offline")
    assert missing.exit_code == 4
    assert f"mrlspk pretrained fetch {NAME}" in missing.stderr
    assert server.requests == []
    fetch(NAME)
    assert fetch(NAME, "--offline").exit_code == 0
    assert len(server.requests) == 1


def test_unknown_name_is_answered_with_the_nearest(server):
    result = fetch("redimnet-b2-vox2-lm")
    assert result.exit_code == 1
    assert "redimnet-b2-vox2-ft_lm" in result.stderr
    assert server.requests == []


def test_bad_hash_is_a_usage_error():
    assert fetch(NAME, "--sha256", "abc").exit_code == 2


def test_list_shows_what_is_here():
    fetch(NAME)
    result = pretrained("list", "--json")
    assert result.exit_code == 0, result.output
    models = {model["name"]: model for model in json.loads(result.stdout)["models"]}
    assert {name for name, model in models.items() if model["cached"]} == {NAME}
    assert models[NAME]["sha256"] == SHA256
    assert models["redimnet-b0-vox2-ptn"]["sha256"] is None
    assert "CC BY-NC-SA" in models[NAME]["licence"]
    assert all(model["url"].startswith("https://") for model in models.values())


def test_list_is_a_table_with_the_remark_on_licences():
    result = pretrained("list")
    assert result.exit_code == 0, result.output
    assert "redimnet-b2-vox2-ft_lm" in result.stdout
    assert "* MIT; trained on VoxBlink2, which is CC BY-NC-SA (non-commercial)" in result.stdout
