"""``mrlspk pretrained fetch`` against a server, a disk and processes that fail in its middle."""

import gzip
import json
import signal
import socketserver
import subprocess
import sys
import threading
import traceback
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from integration.model_server import Answer, ModelServer
from model_files import checkpoint, sha256
from mrlspk.cli.app import app
from mrlspk.errors import DownloadError
from mrlspk.pretrained import download, sources

pytestmark = pytest.mark.process

NAME = "redimnet-M-vb2-ptn"  # its SHA-256 is not known beforehand
PATH = f"/{NAME}.pt"
RELEASE = "/IDRnD/ReDimNet/releases/download/latest/"  # where the publisher has it
BODY = checkpoint(bytes(range(256)) * 4000)
OTHER = checkpoint(bytes(range(255, -1, -1)) * 4000)  # as long, and different
LEGACY = b"\x80\x02" + bytes(len(BODY) - 2)  # as torch.save wrote before version 1.6: no ZIP file, no checksums
SHA256 = sha256(BODY)
KNOWN = ("--sha256", SHA256)
BREAK = 2 * sources.CHUNK_BYTES
REST = f"bytes={BREAK - 1}-"
WHOLE = [f"{NAME}.pt", f"{NAME}.pt.sha256"]
PART = [f"{NAME}.pt.partial"]


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


def break_off(server, cache):
    """Let one command end with a part of the file, as it does while a network stays away."""
    server.answers = [Answer(cut=BREAK)] + [Answer(status=503)] * 3
    assert fetch(*KNOWN).exit_code == 4
    assert kept_files(cache) == PART
    assert sha256(cache / PART[0]) == sha256(BODY[:BREAK])
    server.requests.clear()


def ranges(server):
    return [seen.range for seen in server.requests]


def test_broken_off_body_is_resumed_at_its_last_byte(server, cache, pauses):
    server.answers = [Answer(cut=BREAK)]
    result = fetch(*KNOWN)
    assert_whole(result, cache, given=True)
    assert "the connection broke off before the end of the file; retrying in 1 s" in result.stderr
    assert [(seen.range, seen.n_bytes) for seen in server.requests] == [(None, BREAK), (REST, len(BODY) - BREAK + 1)]
    assert pauses == [1.0]


def test_broken_off_checkpoint_of_unknown_hash_is_resumed(server, cache):
    server.answers = [Answer(cut=BREAK)]
    assert_whole(fetch(), cache)
    assert ranges(server) == [None, REST]


def test_checkpoint_of_unknown_hash_that_has_changed_is_fetched_anew(server, cache):
    break_off(server, cache)
    server.files = {PATH: OTHER}
    assert fetch().exit_code == 0
    assert ranges(server) == [REST, None]
    assert sha256(cache / f"{NAME}.pt") == sha256(OTHER)


def test_broken_off_body_without_checksums_is_fetched_anew(server, cache):
    server.files, server.answers = {PATH: LEGACY}, [Answer(cut=BREAK)]
    assert fetch().exit_code == 0
    assert ranges(server) == [None, None]
    assert sha256(cache / f"{NAME}.pt") == sha256(LEGACY)


@pytest.mark.parametrize(("body", "flags", "kept"), [(BODY, KNOWN, PART), (BODY, (), PART), (LEGACY, (), [])])
def test_part_is_kept_only_if_the_whole_can_be_verified(server, cache, pauses, body, flags, kept):
    server.files, server.always = {PATH: body}, Answer(cut=BREAK)
    result = fetch(*flags)
    assert result.exit_code == 4
    assert "the connection broke off before the end of the file, in 4 attempts" in result.stderr
    assert f"type: mrlspk pretrained fetch {NAME} --cache-dir {cache}" in result.stderr
    assert len(server.requests) == 4
    assert pauses == [1.0, 2.0, 4.0]
    assert kept_files(cache) == kept


def test_next_command_asks_only_for_the_rest(server, cache):
    break_off(server, cache)
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert [(seen.range, seen.n_bytes) for seen in server.requests] == [(REST, len(BODY) - BREAK + 1)]


def test_next_command_without_the_hash_resumes_a_checkpoint(server, cache):
    break_off(server, cache)
    assert_whole(fetch(), cache)
    assert ranges(server) == [REST]


def test_complete_part_asks_for_one_byte(server, cache):
    break_off(server, cache)
    (cache / PART[0]).write_bytes(BODY)
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert [seen.n_bytes for seen in server.requests] == [1]


def test_ignored_range_restarts_in_the_same_answer(server, cache):
    break_off(server, cache)
    server.always = Answer(range_honoured=False)
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert [(seen.range, seen.n_bytes) for seen in server.requests] == [(REST, len(BODY))]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=416),
        Answer(status=206),
        Answer(headers={"Content-Range": f"bytes {BREAK}-{len(BODY)}/{len(BODY) + 1}"}),
        Answer(headers={"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}),
        Answer(headers={"Content-Range": f"bytes {BREAK - 1}-9/{'9' * 5000}"}),
        Answer(change=gzip.compress, headers={"Content-Encoding": "gzip"}),
    ],
)
def test_unusable_rest_restarts_the_download(server, cache, answer):
    break_off(server, cache)
    server.answers = [answer]
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert ranges(server) == [REST, None]


def test_part_longer_than_the_file_restarts_the_download(server, cache):
    break_off(server, cache)
    (cache / PART[0]).write_bytes(BODY + b"more")
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert ranges(server) == [f"bytes={len(BODY) + 3}-", None]


def test_partial_content_that_was_not_asked_for_is_refused(server, cache):
    server.always = Answer(status=206)
    result = fetch()
    assert result.exit_code == 4
    assert "the server answered 206" in result.stderr
    assert kept_files(cache) == []


def test_part_of_other_content_is_found_by_hash_and_refetched(server, cache):
    break_off(server, cache)
    (cache / PART[0]).write_bytes(OTHER[:BREAK])
    result = fetch(*KNOWN)
    assert_whole(result, cache, given=True)
    assert "the part belongs to another file; retrying" in result.stderr
    assert ranges(server) == [REST, None]


def test_wrong_content_leaves_nothing(server, cache):
    server.files = {PATH: OTHER}
    result = fetch(*KNOWN)
    assert result.exit_code == 4
    assert f"expected SHA-256 {SHA256}, got {sha256(OTHER)}" in result.stderr
    assert f"fetch {NAME} --cache-dir {cache} --force --sha256 {sha256(OTHER)}" in result.stderr
    assert len(server.requests) == 1
    assert kept_files(cache) == []


def test_changed_content_leaves_nothing_after_one_restart(server, cache):
    break_off(server, cache)
    server.files = {PATH: OTHER}
    result = fetch(*KNOWN)
    assert result.exit_code == 4
    assert f"got {sha256(OTHER)}" in result.stderr
    assert ranges(server) == [REST, None]
    assert kept_files(cache) == []


def test_content_that_differs_from_the_first_fetch_is_refused(server, cache):
    assert_whole(fetch(), cache)
    (cache / f"{NAME}.pt").unlink()
    server.files = {PATH: OTHER}
    result = fetch()
    assert result.exit_code == 4
    assert f"expected SHA-256 {SHA256}" in result.stderr
    assert kept_files(cache) == [f"{NAME}.pt.sha256"]


def test_rest_that_ends_too_early_is_resumed(server, cache):
    break_off(server, cache)
    server.answers = [Answer(change=lambda rest: rest[:-10])]
    result = fetch(*KNOWN)
    assert_whole(result, cache, given=True)
    assert f"received {len(BODY) - 10:,} of {len(BODY):,} bytes; retrying" in result.stderr
    assert ranges(server) == [REST, f"bytes={len(BODY) - 11}-"]


def test_rest_that_is_too_long_is_fetched_anew(server, cache):
    break_off(server, cache)
    server.answers = [Answer(change=lambda rest: rest + b"more")]
    result = fetch(*KNOWN)
    assert_whole(result, cache, given=True)
    assert f"received {len(BODY) + 4:,} of {len(BODY):,} bytes; retrying" in result.stderr


def test_body_without_a_length_is_fetched(server, cache):
    server.always = Answer(sized=False)
    assert_whole(fetch(), cache)


def test_body_without_a_length_that_breaks_off_is_fetched_anew(server, cache):
    server.answers = [Answer(sized=False, cut=BREAK)]
    result = fetch()
    assert_whole(result, cache)
    assert "the connection broke off" in result.stderr


def test_body_is_requested_uncompressed_and_decoded_if_compressed(server, cache):
    server.always = Answer(change=gzip.compress, headers={"Content-Encoding": "gzip"})
    assert_whole(fetch(), cache)
    assert [seen.encodings for seen in server.requests] == ["identity"]


def test_broken_off_compressed_body_is_fetched_whole(server, cache):
    server.answers = [Answer(cut=1000, change=gzip.compress, headers={"Content-Encoding": "gzip"})]
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert len(server.requests) == 2


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
    monkeypatch.setattr(sources, "READ_SECONDS", 0.3)
    server.answers = [Answer(hold=BREAK)]
    result = fetch(*KNOWN)
    assert_whole(result, cache, given=True)
    assert "the server sent nothing for 0.3 s" in result.stderr
    assert ranges(server) == [None, REST]


def test_server_that_does_not_answer_is_retried(server, cache, monkeypatch):
    monkeypatch.setattr(sources, "READ_SECONDS", 0.3)
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


def test_redirect_is_followed_and_resumed_there(server, cache):
    server.files = {PATH: BODY, "/elsewhere": BODY}
    redirect = Answer(status=302, headers={"Location": "/elsewhere"})
    server.answers = [redirect, Answer(cut=BREAK), redirect]
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert [(seen.path, seen.range) for seen in server.requests] == [
        (PATH, None),
        ("/elsewhere", None),
        (PATH, REST),
        ("/elsewhere", REST),
    ]


def test_redirect_without_end_fails_at_once(server, cache):
    server.always = Answer(status=302, headers={"Location": PATH})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert kept_files(cache) == []


@pytest.mark.parametrize("location", ["http://[::1/x", "http://\udcff..x/", "ftp://host/x"])
def test_redirect_to_no_address_fails_at_once(server, cache, location):
    server.always = Answer(status=302, headers={"Location": f"{location}?signature=hidden"})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert "hidden" not in result.stderr
    assert kept_files(cache) == []


def test_wrongly_encoded_body_leaves_nothing(server, cache):
    server.always = Answer(headers={"Content-Encoding": "gzip"})
    result = fetch()
    assert result.exit_code == 4
    assert "it cannot be fetched" in result.stderr
    assert kept_files(cache) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\xff garbage",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n12345",
        b"HTTP/1.1 503 Busy\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n",
    ],
)
def test_malformed_answer_is_an_error_without_traceback(cache, monkeypatch, answer):
    class Malformed(socketserver.StreamRequestHandler):
        def handle(self):
            self.connection.recv(1 << 16)
            self.wfile.write(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Malformed) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("MRLSPK_MIRROR", f"http://127.0.0.1:{server.server_address[1]}")
        result = fetch()
        server.shutdown()
        thread.join()
    assert result.exit_code == 4
    assert kept_files(cache) == []


def test_first_fetch_rejects_pages_and_truncated_files(server, cache):
    for content, found in (
        (b"<html>Sign in</html>", "a page of text"),
        (b"", "an empty file"),
        (BODY[:-1], f"a truncated or damaged file of {len(BODY) - 1:,} bytes"),
    ):
        server.files = {PATH: content}
        result = fetch()
        assert result.exit_code == 4
        assert f"expected a checkpoint, got {found}" in result.stderr
        assert kept_files(cache) == []
    server.files = {PATH: BODY}
    assert_whole(fetch(), cache)


def fetch_secret(server, cache, *flags, path="/model.pt"):
    """Fetch an address with secrets; none may be shown or kept, whatever comes of it."""
    address = f"{server.url.replace('//', '//user:hidden@')}{path}?signature=hidden#hidden"
    result = CliRunner().invoke(app, ["pretrained", "fetch", address, *flags])
    shown = [result.output, *(traceback.format_exception(result.exception) if result.exception else [])]
    assert not [text for text in shown if "hidden" in text]
    assert not [name for name in kept_files(cache) if "hidden" in name]
    return result


def test_secrets_of_an_address_are_not_shown(server, cache):
    server.files = {"/model.pt?signature=hidden": BODY}
    server.answers = [Answer(status=503)] * 4
    assert f"{server.url}/model.pt: the server answered 503" in fetch_secret(server, cache).stderr
    assert f"type: mrlspk pretrained fetch {server.url}/model.pt" in fetch_secret(server, cache, "--offline").stderr
    assert "404 Not Found" in fetch_secret(server, cache, path="/absent.pt").stderr
    server.answers = [Answer(status=302, headers={"Location": "ftp://host/?hidden"})]
    assert isinstance(fetch_secret(server, cache, "--debug").exception, DownloadError)
    assert "got " in fetch_secret(server, cache, "--sha256", "0" * 64).stderr
    fetched = fetch_secret(server, cache, "--json")
    assert json.loads(fetched.stdout)["name"] == f"{server.url}/model.pt"
    assert server.requests[-1].path == "/model.pt?signature=hidden"


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
    assert fetch(*KNOWN).exit_code == 4
    assert kept_files(cache) == PART


def test_offline_sends_no_request_to_a_running_server(server, cache):
    break_off(server, cache)
    for flags in (["--offline"], ["--offline", "--force"]):
        result = fetch(*flags)
        assert result.exit_code == 4
        assert "not fetched yet, and offline" in result.stderr
        assert f"mrlspk pretrained fetch {NAME}" in result.stderr
    assert server.requests == []
    assert kept_files(cache) == PART


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


def start_and_hold(server, cache, log, *flags):
    """Start a command that waits in the middle of its download."""
    server.answers = [Answer(hold=BREAK)]
    process, partial = start_fetch(log, *flags), cache / PART[0]
    wait_until(lambda: partial.exists() and partial.stat().st_size == BREAK)
    return process


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_download_is_resumed(server, cache, tmp_path, signal_number):
    process = start_and_hold(server, cache, tmp_path / "log", *KNOWN)
    process.send_signal(signal_number)
    assert process.wait() != 0
    assert kept_files(cache) == PART
    assert_whole(fetch(*KNOWN), cache, given=True)
    assert [(seen.range, seen.n_bytes) for seen in server.requests[1:]] == [(REST, len(BODY) - BREAK + 1)]


@pytest.mark.parametrize(("signal_number", "kept"), [(signal.SIGKILL, PART), (signal.SIGINT, [])])
def test_stopped_download_without_checksums_is_fetched_anew(server, cache, tmp_path, signal_number, kept):
    server.files = {PATH: LEGACY}
    process = start_and_hold(server, cache, tmp_path / "log")
    process.send_signal(signal_number)
    assert process.wait() != 0
    assert kept_files(cache) == kept
    assert fetch().exit_code == 0
    assert ranges(server) == [None, None]
    assert sha256(cache / f"{NAME}.pt") == sha256(LEGACY)


def test_waiting_process_resumes_after_a_killed_one(server, cache, tmp_path):
    holder = start_and_hold(server, cache, tmp_path / "holder.log", *KNOWN)
    waiting = start_fetch(tmp_path / "waiting.log", *KNOWN)
    wait_until(lambda: "waiting for another process" in (tmp_path / "waiting.log").read_text())
    holder.kill()
    assert holder.wait() == -signal.SIGKILL
    assert waiting.wait() == 0
    assert ranges(server) == [None, REST]
    assert sha256(cache / f"{NAME}.pt") == SHA256
    assert kept_files(cache) == WHOLE


def test_forced_download_blocks_nobody_and_its_kill_leaves_the_old_file(server, cache, tmp_path):
    assert_whole(fetch(), cache)
    process = start_and_hold(server, cache, tmp_path / "log", "--force")
    assert fetch("--offline").exit_code == 0
    assert kept_files(cache) == [WHOLE[0], *PART, WHOLE[1]]
    process.kill()
    process.wait()
    assert kept_files(cache) == [WHOLE[0], *PART, WHOLE[1]]
    assert_whole(fetch("--offline"), cache)


STOPPED = """
import os, pathlib, sys
from mrlspk.cli.app import main
from mrlspk.pretrained import download

number, replace = int(sys.argv.pop(1)), pathlib.Path.replace
def stop(here):
    if here == number:
        os._exit(99)
def stop_around(self, target):
    stop(1)
    replace(self, target)
    stop(2)
def stop_after(*arguments, write=download.write_record):
    stop(3)
    write(*arguments)
    stop(4)
pathlib.Path.replace, download.write_record = stop_around, stop_after
main()
"""


@pytest.mark.parametrize(("moment", "content"), [(1, BODY), (2, OTHER), (3, OTHER), (4, OTHER)])
def test_kill_at_any_moment_of_the_replacement_leaves_a_usable_file(server, cache, moment, content):
    assert_whole(fetch(), cache)
    server.files = {PATH: OTHER}
    command = [sys.executable, "-c", STOPPED, str(moment), "pretrained", "fetch", NAME, "--force"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 99
    assert_whole(fetch("--offline"), cache, content)


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_part_and_record_of_an_earlier_version_do_no_harm(server, cache, force):
    cache.mkdir()
    for name, content in ((f".{NAME}.pt.partial", OTHER[:BREAK]), (f".{NAME}.pt.partial.json", b"{}")):
        (cache / name).write_bytes(content)
    (cache / f"{NAME}.pt").write_bytes(BODY)
    (cache / f"{NAME}.pt.sha256").write_text(f"{SHA256}  {NAME}.pt\n# given with --sha256\n")
    assert fetch(*force).exit_code == 0
    assert sha256(cache / f"{NAME}.pt") == SHA256
    assert len(server.requests) == len(force)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
from mrlspk.cli.app import main
main()
"""


def fetch_with_little_room(*flags):
    command = [sys.executable, "-c", LIMITED, "pretrained", "fetch", NAME, *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("begun", [False, True])
def test_disk_that_fills_up_during_download_leaves_nothing(server, cache, begun):
    pytest.importorskip("resource")
    if begun:
        break_off(server, cache)
    result = fetch_with_little_room(*KNOWN)
    assert result.returncode == 4
    assert f"{cache / NAME}.pt: cannot be fetched: File too large" in result.stderr
    assert "MRLSPK_CACHE_DIR" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(server.requests) == 1
    assert kept_files(cache) == []


def test_disk_that_fills_up_during_a_forced_download_leaves_the_old_file(server, cache):
    pytest.importorskip("resource")
    assert_whole(fetch(), cache)
    assert fetch_with_little_room("--force").returncode == 4
    assert len(server.requests) == 2
    assert_whole(fetch("--offline"), cache)


def test_disk_that_fills_up_during_a_copy_leaves_nothing(cache, tmp_path, monkeypatch):
    pytest.importorskip("resource")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / f"{NAME}.pt").write_bytes(BODY)
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    result = fetch_with_little_room()
    assert result.returncode == 4
    assert "cannot be fetched: File too large" in result.stderr
    assert kept_files(cache) == []
