"""``mrlspk pretrained fetch`` against a server, a disk and processes that fail in its middle."""

import gzip
import shutil
import signal
import subprocess
import sys
import threading
from email.utils import formatdate
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from integration.model_server import Answer, ModelServer
from model_files import checkpoint, sha256
from mrlspk.cli.app import app
from mrlspk.pretrained import download, http_download

pytestmark = pytest.mark.process

NAME = "redimnet-M-vb2-ptn"  # its SHA-256 is not known beforehand
PATH = f"/{NAME}.pt"
RELEASE = "/IDRnD/ReDimNet/releases/download/latest/"  # where the publisher has it
BODY = checkpoint(bytes(range(256)) * 4000)
OTHER = checkpoint(bytes(range(255, -1, -1)) * 4000)  # as long, and different
SHA256 = sha256(BODY)
BREAK = 2 * http_download.CHUNK_BYTES
WHOLE = [f"{NAME}.pt", f"{NAME}.pt.sha256"]
BROKEN_OFF = [f".{NAME}.pt.partial", f".{NAME}.pt.partial.json"]


@pytest.fixture
def server():
    with ModelServer({PATH: BODY}) as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path, server):
    """Fetch through the server into an empty cache; pauses between attempts are noted and not made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MRLSPK_MIRROR", server.url)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    made = []
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def fetch(*arguments):
    result = CliRunner().invoke(app, ["pretrained", "fetch", NAME, *arguments])
    assert "Traceback" not in result.stderr
    return result


def start_fetch(log, *arguments):
    """Start the command in a process of its own, whose stderr goes to ``log``."""
    command = [sys.executable, "-m", "mrlspk", "pretrained", "fetch", NAME, *arguments]
    with log.open("w") as stderr:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)


def wait_until(holds, *, steps=3000):
    """Wait until something holds; after ``steps`` looks it never will."""
    nap = threading.Event()
    for _ in range(steps):
        if holds():
            return
        nap.wait(0.01)
    raise AssertionError("waited in vain")


def kept_files(cache):
    """Return the names of all files in the cache but its locks, which are empty."""
    files = [path for path in cache.rglob("*") if path.is_file()]
    locks = [path for path in files if path.parent.name == ".locks"]
    assert all(path.stat().st_size == 0 for path in locks)
    return sorted(path.name for path in files if path not in locks)


def assert_whole(result, cache, body=BODY, *, given=False):
    assert result.exit_code == 0, result.output
    assert sha256(cache / f"{NAME}.pt") == sha256(body)
    note = "# given with --sha256\n" if given else ""
    assert (cache / f"{NAME}.pt.sha256").read_text() == f"{sha256(body)}  {NAME}.pt\n{note}"
    assert kept_files(cache) == WHOLE


def break_off(server, cache, *arguments):
    """Let one command end with a part of the file, as a network does that stays away."""
    server.answers = [Answer(cut=BREAK)] + [Answer(status=503)] * 3
    result = fetch(*arguments)
    assert result.exit_code == 4
    assert "The part is kept" in result.stderr
    assert kept_files(cache) == BROKEN_OFF
    assert sha256(cache / BROKEN_OFF[0]) == sha256(BODY[:BREAK])
    server.requests.clear()


def test_truncated_answer_is_resumed(server, cache, pauses):
    server.answers = [Answer(cut=BREAK)]
    result = fetch()
    assert_whole(result, cache)
    assert "the connection broke off before the end of the file; retrying in 1 s" in result.stderr
    assert [(seen.range, seen.if_range, seen.n_bytes) for seen in server.requests] == [
        (None, None, BREAK),
        (f"bytes={BREAK}-", '"first"', len(BODY) - BREAK),
    ]
    assert pauses == [1.0]


def test_connection_that_always_breaks_keeps_the_part(server, cache, pauses):
    server.always = Answer(cut=BREAK)
    result = fetch()
    assert result.exit_code == 4
    assert "the connection broke off before the end of the file, in 4 attempts" in result.stderr
    assert "the same command resumes it" in result.stderr
    assert [seen.range for seen in server.requests] == [None, *(f"bytes={n * BREAK}-" for n in (1, 2, 3))]
    assert pauses == [1.0, 2.0, 4.0]
    assert kept_files(cache) == BROKEN_OFF


def test_next_command_asks_only_for_the_rest(server, cache):
    break_off(server, cache)
    assert_whole(fetch(), cache)
    assert [(seen.range, seen.if_range, seen.n_bytes) for seen in server.requests] == [
        (f"bytes={BREAK}-", '"first"', len(BODY) - BREAK)
    ]


def test_last_modified_validates_a_part_without_etag(server, cache):
    server.etag, server.modified = None, formatdate(0, usegmt=True)
    break_off(server, cache)
    assert_whole(fetch(), cache)
    assert [(seen.range, seen.if_range) for seen in server.requests] == [(f"bytes={BREAK}-", server.modified)]


@pytest.mark.parametrize(("etag", "dated"), [(None, False), ('W/"weak"', False), (None, True)])
def test_part_without_validator_or_hash_is_not_resumed(server, cache, etag, dated):
    server.etag = etag
    server.modified = formatdate(usegmt=True) if dated else None  # a date of now can hide a later change
    server.answers = [Answer(cut=BREAK)] + [Answer(status=503)] * 3
    result = fetch()
    assert result.exit_code == 4
    assert "The part is kept" not in result.stderr
    assert kept_files(cache) == []
    server.files = {PATH: OTHER}
    assert_whole(fetch(), cache, OTHER)
    assert {seen.range for seen in server.requests} == {None}


def test_known_hash_identifies_a_part_without_validator(server, cache):
    server.etag = None
    break_off(server, cache, "--sha256", SHA256)
    assert_whole(fetch("--sha256", SHA256), cache, given=True)
    assert [(seen.range, seen.if_range) for seen in server.requests] == [(f"bytes={BREAK}-", None)]


def test_known_hash_replaces_a_missing_validator(server, cache):
    break_off(server, cache, "--sha256", SHA256)
    server.answers = [Answer(validator_sent=False)]
    assert_whole(fetch("--sha256", SHA256), cache, given=True)
    assert [seen.range for seen in server.requests] == [f"bytes={BREAK}-"]


def test_ignored_range_restarts_in_the_same_answer(server, cache):
    break_off(server, cache)
    server.always = Answer(range_honoured=False)
    assert_whole(fetch(), cache)
    assert [(seen.range, seen.n_bytes) for seen in server.requests] == [(f"bytes={BREAK}-", len(BODY))]


def test_changed_content_is_fetched_from_the_start(server, cache):
    break_off(server, cache)
    server.files, server.etag = {PATH: OTHER}, '"second"'
    assert_whole(fetch(), cache, OTHER)
    assert [(seen.if_range, seen.n_bytes) for seen in server.requests] == [('"first"', len(OTHER))]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=416),
        Answer(headers={"Content-Range": f"bytes {BREAK}-{len(BODY)}/{len(BODY) + 1}"}),
        Answer(headers={"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}),
        Answer(headers={"ETag": '"second"'}),
        Answer(headers={"ETag": 'W/"first"'}),
        Answer(validator_sent=False),
        Answer(change=gzip.compress, headers={"Content-Encoding": "gzip"}),
    ],
)
def test_rest_of_another_file_restarts_the_download(server, cache, answer):
    break_off(server, cache)
    server.answers = [answer]
    assert_whole(fetch(), cache)
    assert [seen.range for seen in server.requests] == [f"bytes={BREAK}-", None]


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize(("first", "second"), [(('"1"', None), ('"2"', None)), ((None, 0), (None, 86400))])
def test_rest_of_changed_content_is_rejected_without_if_range(server, cache, first, second, sent):
    def publish(content, etag, modified):
        server.files, server.etag = {PATH: content}, etag
        server.modified = None if modified is None else formatdate(modified, usegmt=True)

    publish(BODY, *first)
    break_off(server, cache)
    publish(OTHER, *second)
    server.answers = [Answer(if_range_heeded=False, validator_sent=sent)]
    assert_whole(fetch(), cache, OTHER)
    assert [seen.range for seen in server.requests] == [f"bytes={BREAK}-", None]


def test_part_of_other_content_is_found_by_hash_and_refetched(server, cache):
    server.etag = None
    break_off(server, cache, "--sha256", SHA256)
    (cache / BROKEN_OFF[0]).write_bytes(OTHER[:BREAK])
    result = fetch("--sha256", SHA256)
    assert_whole(result, cache, given=True)
    assert "belongs to another file; fetching from the start" in result.stderr
    assert [seen.range for seen in server.requests] == [f"bytes={BREAK}-", None]


def test_wrong_content_leaves_nothing(server, cache):
    server.files = {PATH: OTHER}
    result = fetch("--sha256", SHA256)
    assert result.exit_code == 4
    assert f"expected SHA-256 {SHA256}, got {sha256(OTHER)}" in result.stderr
    assert len(server.requests) == 1
    assert kept_files(cache) == []


def test_wrong_rest_leaves_nothing_after_one_restart(server, cache):
    server.etag = None
    break_off(server, cache, "--sha256", SHA256)
    server.files = {PATH: OTHER}
    result = fetch("--sha256", SHA256)
    assert result.exit_code == 4
    assert f"got {sha256(OTHER)}" in result.stderr
    assert [seen.range for seen in server.requests] == [f"bytes={BREAK}-", None]
    assert kept_files(cache) == []


def test_content_that_differs_from_the_first_fetch_is_refused(server, cache):
    assert_whole(fetch(), cache)
    (cache / f"{NAME}.pt").unlink()
    server.files = {PATH: OTHER}
    result = fetch()
    assert result.exit_code == 4
    assert f"expected SHA-256 {SHA256}" in result.stderr
    assert kept_files(cache) == [f"{NAME}.pt.sha256"]


@pytest.mark.parametrize("change", [lambda rest: rest[:-10], lambda rest: rest + b"more"])
def test_rest_of_another_length_is_rejected(server, cache, change):
    break_off(server, cache)
    server.answers = [Answer(change=change)]
    result = fetch()
    assert_whole(result, cache)
    assert f"of {len(BODY):,} bytes; retrying" in result.stderr


def test_body_is_requested_uncompressed_and_decoded_if_compressed(server, cache):
    server.always = Answer(change=gzip.compress, headers={"Content-Encoding": "gzip"})
    assert_whole(fetch(), cache)
    assert [seen.encodings for seen in server.requests] == ["identity"]


def test_part_of_an_encoded_body_is_not_resumed(server, cache):
    gzipped = {"Content-Encoding": "gzip"}
    server.answers = [Answer(cut=1000, change=gzip.compress, headers=gzipped)]
    assert_whole(fetch(), cache)
    assert [seen.range for seen in server.requests] == [None, None]


@pytest.mark.parametrize("status", [408, 429, 500, 599])
def test_transient_failure_is_retried(server, cache, status):
    server.answers = [Answer(status=status)]
    assert_whole(fetch(), cache)
    assert len(server.requests) == 2


def test_three_times_503_then_good(server, cache, pauses):
    server.answers = [Answer(status=503)] * 3
    result = fetch()
    assert_whole(result, cache)
    assert result.stderr.count("the server answered 503 Service Unavailable; retrying") == 3
    assert len(server.requests) == 4
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("86400", 60.0),
        ("soon", 1.0),
        ("Thu, 31 Dec 2099 23:59:59 GMT", 60.0),
        ("1 Jan 2020 00:00:00 +99999999999999", 1.0),
    ],
)
def test_retry_after_is_respected_up_to_a_limit(server, cache, pauses, asked, pause):
    server.answers = [Answer(status=429, headers={"Retry-After": asked})]
    assert_whole(fetch(), cache)
    assert pauses == [pause]


def test_stalled_download_is_resumed(server, cache, monkeypatch):
    monkeypatch.setattr(http_download, "READ_SECONDS", 0.3)
    server.answers = [Answer(hold=BREAK)]
    result = fetch()
    assert_whole(result, cache)
    assert "the server sent nothing for 0.3 s" in result.stderr
    assert [seen.range for seen in server.requests] == [None, f"bytes={BREAK}-"]


def test_server_that_does_not_answer_is_retried(server, cache, monkeypatch):
    monkeypatch.setattr(http_download, "READ_SECONDS", 0.3)
    server.answers = [Answer(silent=True)]
    result = fetch()
    assert_whole(result, cache)
    assert "the server did not answer in time; retrying" in result.stderr


def test_server_without_a_secure_connection_fails_at_once(server, cache, monkeypatch, pauses):
    monkeypatch.setenv("MRLSPK_MIRROR", server.url.replace("http:", "https:"))
    result = fetch()
    assert result.exit_code == 4
    assert "no secure connection" in result.stderr
    assert pauses == []
    assert kept_files(cache) == []


@pytest.mark.parametrize(("missing", "exit_code"), [(0, 0), (1, 4)])
def test_room_is_needed_for_the_rest_only(server, cache, monkeypatch, missing, exit_code):
    break_off(server, cache)
    needed = len(BODY) - BREAK
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=needed - missing))
    result = fetch()
    assert result.exit_code == exit_code
    assert (f"{needed:,} bytes are needed, {needed - 1:,} are free" in result.stderr) == bool(missing)
    assert kept_files(cache) == ([] if missing else WHOLE)


def test_redirect_is_followed_and_resumed_there(server, cache):
    server.files = {PATH: BODY, "/elsewhere": BODY}
    redirect = Answer(status=302, headers={"Location": "/elsewhere"})
    server.answers = [redirect, Answer(cut=BREAK), redirect]
    assert_whole(fetch(), cache)
    assert [(seen.path, seen.range) for seen in server.requests] == [
        (PATH, None),
        ("/elsewhere", None),
        (PATH, f"bytes={BREAK}-"),
        ("/elsewhere", f"bytes={BREAK}-"),
    ]


def test_redirect_without_end_fails_at_once(server, cache):
    server.always = Answer(status=302, headers={"Location": PATH})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert kept_files(cache) == []


@pytest.mark.parametrize("location", ["http://[::1/x", "http://\udcff..x/", "ftp://host/x"])
def test_redirect_to_no_address_fails_at_once(server, cache, location):
    server.always = Answer(status=302, headers={"Location": location})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert kept_files(cache) == []


def test_wrongly_encoded_body_leaves_nothing(server, cache):
    server.always = Answer(headers={"Content-Encoding": "gzip"})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert kept_files(cache) == []


def test_first_fetch_rejects_pages_and_truncated_files(server, cache):
    for content, found in (
        (b"<html>Sign in</html>", "a page of text"),
        (b"", "an empty file"),
        (BODY[:-1], f"a truncated file of {len(BODY) - 1:,} bytes"),
    ):
        server.files = {PATH: content}
        result = fetch()
        assert result.exit_code == 4
        assert f"expected a checkpoint, got {found}" in result.stderr
        assert kept_files(cache) == []
    server.files = {PATH: BODY}
    assert_whole(fetch(), cache)


def test_password_and_query_of_an_address_are_neither_shown_nor_kept(server, cache):
    server.files = {"/model.pt?signature=hidden": BODY}
    address = f"{server.url.replace('//', '//user:hidden@')}/model.pt?signature=hidden"
    server.answers = [Answer(cut=BREAK)] + [Answer(status=503)] * 3
    result = CliRunner().invoke(app, ["pretrained", "fetch", address, "--quiet"])
    assert result.exit_code == 4
    assert f"{server.url}/model.pt: the server answered 503" in result.stderr
    assert "hidden" not in result.stderr
    assert all("hidden" not in path.read_text() for path in cache.rglob("*.json"))
    assert len(kept_files(cache)) == 2


def test_missing_file_names_both_urls_without_retry(server, cache):
    server.files = {}
    result = fetch()
    assert result.exit_code == 4
    assert f"{server.url}{PATH}: the server answered 404 Not Found" in result.stderr
    assert f"nor is it at {server.url}/M-vb2-ptn.pt or {server.url}{RELEASE}M-vb2-ptn.pt" in result.stderr
    assert server.paths == [PATH, "/M-vb2-ptn.pt", f"{RELEASE}M-vb2-ptn.pt"]
    assert kept_files(cache) == []


def test_missing_file_keeps_the_part(server, cache):
    break_off(server, cache)
    server.files = {}
    assert fetch().exit_code == 4
    assert kept_files(cache) == BROKEN_OFF


def test_offline_sends_no_request_to_a_running_server(server, cache):
    break_off(server, cache)
    for flags in (["--offline"], ["--offline", "--force"]):
        result = fetch(*flags)
        assert result.exit_code == 4
        assert "not fetched yet, and offline" in result.stderr
        assert f"mrlspk pretrained fetch {NAME}" in result.stderr
    assert server.requests == []
    assert kept_files(cache) == BROKEN_OFF


def test_four_processes_at_once_end_with_one_file_and_one_download(server, cache, tmp_path):
    server.always = Answer(hold=BREAK)
    logs = [tmp_path / f"{number}.log" for number in range(4)]
    processes = [start_fetch(log) for log in logs]
    wait_until(lambda: sum("waiting for another process" in log.read_text() for log in logs) == 3)
    server.gate.set()
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert server.paths == [PATH]
    assert sha256(cache / f"{NAME}.pt") == SHA256
    assert kept_files(cache) == WHOLE


def test_killed_download_is_resumed(server, cache, tmp_path):
    server.answers = [Answer(hold=BREAK)]
    process = start_fetch(tmp_path / "log")
    partial = cache / BROKEN_OFF[0]
    wait_until(lambda: partial.exists() and partial.stat().st_size == BREAK)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert kept_files(cache) == BROKEN_OFF
    assert_whole(fetch(), cache)
    assert [(seen.range, seen.n_bytes) for seen in server.requests[1:]] == [(f"bytes={BREAK}-", len(BODY) - BREAK)]


def test_waiting_process_resumes_after_a_killed_one(server, cache, tmp_path):
    server.answers = [Answer(hold=BREAK)]
    holder, partial = start_fetch(tmp_path / "holder.log"), cache / BROKEN_OFF[0]
    wait_until(lambda: partial.exists() and partial.stat().st_size == BREAK)
    waiting = start_fetch(tmp_path / "waiting.log")
    wait_until(lambda: "waiting for another process" in (tmp_path / "waiting.log").read_text())
    holder.kill()
    assert holder.wait() == -signal.SIGKILL
    assert waiting.wait() == 0
    assert [seen.range for seen in server.requests] == [None, f"bytes={BREAK}-"]
    assert sha256(cache / f"{NAME}.pt") == SHA256
    assert kept_files(cache) == WHOLE


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from mrlspk.cli.app import main
main()
"""


@pytest.mark.parametrize("begun", [False, True])
def test_disk_that_fills_up_during_download_leaves_nothing(server, cache, begun):
    pytest.importorskip("resource")
    if begun:
        break_off(server, cache)
    command = [sys.executable, "-c", LIMITED, "pretrained", "fetch", NAME]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 4
    assert f"{cache / NAME}.pt: the file could not be written: File too large" in result.stderr
    assert "--cache-dir" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(server.requests) == 1
    assert kept_files(cache) == []


def test_disk_that_fills_up_during_a_copy_leaves_nothing(cache, tmp_path, monkeypatch):
    pytest.importorskip("resource")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / f"{NAME}.pt").write_bytes(BODY)
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    command = [sys.executable, "-c", LIMITED, "pretrained", "fetch", NAME]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 4
    assert "the file could not be written: File too large" in result.stderr
    assert kept_files(cache) == []
