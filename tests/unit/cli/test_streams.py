import io
import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from mrlspk.cli import output, streams


def text_stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=streams.ON_UNENCODABLE)


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ascii", "0.1–0.2 … −3", b"0.1-0.2 ... -3"),
        ("ascii", "é \u20ac \U0001f600", rb"\xe9 \u20ac \U0001f600"),
        ("latin-1", "é – €", b"\xe9 - \\u20ac"),
        ("utf-8", "é – €", "é – €".encode()),
    ],
)
def test_characters_that_a_stream_lacks_are_substituted(encoding, text, shown):
    assert text.encode(encoding, streams.ON_UNENCODABLE) == shown


def test_undecodable_bytes_are_no_business_of_the_substitutes():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", streams.ON_UNENCODABLE)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_json_keeps_its_values_in_any_encoding(monkeypatch, encoding):
    monkeypatch.setattr(sys, "stdout", text_stream(encoding))
    value = {"é – € \U0001f600": "…"}
    output.show("test", {"value": value}, [], as_json=True)
    sys.stdout.flush()
    printed = sys.stdout.buffer.getvalue()
    assert printed.isascii() or encoding.startswith("utf")
    assert json.loads(printed.decode(encoding))["value"] == value


def test_tables_and_notes_fit_an_ascii_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", text_stream("ascii"))
    monkeypatch.setattr(sys, "stderr", text_stream("ascii"))
    output.show("test", {}, [output.table("Ä", ("a", "b"), [("–", "…")]), "5 − 3"], as_json=False)
    output.note("é")
    sys.stdout.flush()
    sys.stderr.flush()
    assert sys.stdout.buffer.getvalue().split() == [rb"\xc4", b"a", b"b", b"-", b"...", b"5", b"-", b"3"]
    assert sys.stderr.buffer.getvalue() == b"\\xe9\n"


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    yield reading, writing
    for number in (reading, writing):
        with suppress(OSError):  # a test has closed it
            os.close(number)


def test_first_failed_write_of_stdout_raises_and_the_rest_is_dropped():
    with Path("/dev/full").open("wb", buffering=0) as full:
        stream = io.TextIOWrapper(io.BufferedWriter(streams._Stdout(full.fileno())))
        stream.write("lost")
        with pytest.raises(streams.OutputError, match="No space left on device") as caught:
            stream.flush()
        assert caught.value.exit_code == 1
        stream.write("more")
        stream.flush()
        stream.close()


def test_closed_pipe_of_stdout_exits_as_sigpipe_does(pipe):
    reading, writing = pipe
    os.close(reading)
    stream = io.BufferedWriter(streams._Stdout(writing))
    stream.write(b"unread")
    with pytest.raises(SystemExit) as caught:
        stream.flush()
    assert caught.value.code == 141
    stream.close()


def test_stderr_drops_what_fails_and_writes_what_does_not(pipe, tmp_path):
    reading, writing = pipe
    os.close(reading)
    stream = io.TextIOWrapper(io.BufferedWriter(streams._Stderr(writing)), line_buffering=True)
    stream.write("lost\n")
    with (tmp_path / "log").open("wb") as log:
        os.dup2(log.fileno(), writing)
    stream.write("kept\n")
    assert (tmp_path / "log").read_text() == "kept\n"


@pytest.mark.parametrize("kind", [streams._Stdout, streams._Stderr])
def test_pipe_that_does_not_wait_still_gets_all(pipe, kind):
    reading, writing = pipe
    os.set_blocking(writing, False)
    content = bytes(range(256)) * 2000  # more than a pipe holds
    received = bytearray()

    def read():
        while len(received) < len(content):
            received.extend(os.read(reading, 65536))

    reader = threading.Thread(target=read)
    stream = io.BufferedWriter(kind(writing))
    reader.start()
    stream.write(content)
    stream.flush()
    reader.join()
    assert received == content


def test_streams_know_their_number_and_whether_they_are_terminals(pipe):
    assert streams._Stdout(pipe[1]).fileno() == pipe[1]
    assert not streams._Stdout(pipe[1]).isatty()
    master, terminal = os.openpty()
    assert streams._Stderr(terminal).isatty()
    os.close(master)
    os.close(terminal)
