"""The embedding cache between processes, and between checkpoints."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
import torch

from mrlspk.data.audio.source import as_source
from mrlspk.inference.cache import FILE_NAME, EmbeddingCache
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.checkpoints import load_model

SHARED, OWN = 150, 50  # entries that both writers write, and those that one of them does

EMBED = """
import json, sys
from pathlib import Path
from mrlspk.data.audio.source import as_source
from mrlspk.inference import cache_lookup
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.recording import Recording
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.checkpoints import load_model

cache_lookup.WRITE_EVERY_ENTRIES = 1
cache_lookup.RECORDINGS_PER_LOOKUP = 2
model, corpus, folder = map(Path, sys.argv[1:])
backend = TorchBackend(load_model(model).encoder)
recordings = [Recording(as_source(path)) for path in sorted(corpus.rglob("*.wav"))]
print("ready", flush=True)
sys.stdin.readline()
found = embed_recordings(backend, recordings, batch_size=1, max_seconds=60, cache=EmbeddingCache(folder))
print(json.dumps({str(each): embedded.vector.tobytes().hex() for each, embedded in found.embeddings.items()}))
"""

WRITE = """
import sys
from pathlib import Path
import numpy as np
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.recording import EmbeddedRecording

cache, names = EmbeddingCache(Path(sys.argv[1])), sys.argv[2:]
print("ready", flush=True)
sys.stdin.readline()
for name in names:
    cache.write({name.encode(): EmbeddedRecording(np.full(192, len(name), np.float32), 1.0)}, {})
    print(name, flush=True)
"""

WRITE_HALF = """
import os, signal, sys
from pathlib import Path
from mrlspk.inference.cache import CacheDatabase

database = CacheDatabase(Path(sys.argv[1]))
database._connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the end

def insert_then_die(connection):
    connection.execute("DELETE FROM embeddings")
    connection.executemany("INSERT INTO embeddings VALUES (?, ?)", [(b"%d" % n, bytes(5000)) for n in range(200)])
    os.kill(os.getpid(), signal.SIGKILL)

database._change(insert_then_die)
"""


WRITE_TO_THE_BRIM = """
import resource, sys
from pathlib import Path
import numpy as np
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.recording import EmbeddedRecording

cache = EmbeddingCache(Path(sys.argv[1]))
cache.write({b"%d" % number: EmbeddedRecording(np.ones(192, np.float32), 1.0) for number in range(10)}, {})
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for _ in range(2):
    cache.write({b"more%d" % number: EmbeddedRecording(np.ones(192, np.float32), 1.0) for number in range(500)}, {})
print(len(cache.find([b"%d" % number for number in range(10)])))
"""


def start(code, *arguments):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True, **pipes)


def let_go(*processes):
    """Start them all at once, when each is ready."""
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def outcome(process):
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    return stdout


def is_sound(folder):
    with closing(sqlite3.connect(folder / FILE_NAME)) as database:
        return database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def embed(model, corpus, folder):
    recordings = [Recording(as_source(path)) for path in sorted(corpus.rglob("*.wav"))]
    backend = TorchBackend(load_model(model).encoder)
    return embed_recordings(backend, recordings, batch_size=1, max_seconds=60, cache=EmbeddingCache(folder))


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "model.pt")


@pytest.mark.process
def test_two_processes_that_embed_at_once_fill_one_cache(model, tiny_corpus, tmp_path):
    folder = tmp_path / "cache"
    both = [start(EMBED, model, tiny_corpus.root, folder) for _ in range(2)]
    let_go(*both)
    first, second = (json.loads(outcome(process)) for process in both)
    found = embed(model, tiny_corpus.root, folder)
    assert found.n_cached == len(first) == len(second) == 16
    for recording, embedded in found.embeddings.items():
        assert embedded.vector.tobytes().hex() in {first[str(recording)], second[str(recording)]}
    assert is_sound(folder)


@pytest.mark.process
def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    shared = [f"shared{number}" for number in range(SHARED)]
    own = [[f"own{process}-{number}" for number in range(OWN)] for process in range(2)]
    both = [start(WRITE, tmp_path, *shared, *names) for names in own]
    let_go(*both)
    for process in both:
        outcome(process)
    names = [*shared, *own[0], *own[1]]
    found = EmbeddingCache(tmp_path).find(name.encode() for name in names)
    assert {key: float(entry.vector[0]) for key, entry in found.items()} == {name.encode(): len(name) for name in names}
    assert is_sound(tmp_path)


@pytest.mark.process
def test_process_killed_during_writes_loses_nothing_written(tmp_path, caplog):
    for attempt in range(3):
        process = start(WRITE, tmp_path, *(f"{attempt}-{number}" for number in range(5000)))
        let_go(process)
        written = [process.stdout.readline().strip() for _ in range(20 + 7 * attempt)]
        process.kill()
        written += process.communicate()[0].split("\n")[:-1]
        assert process.returncode == -signal.SIGKILL
        assert len(written) < 5000
        found = EmbeddingCache(tmp_path).find(name.encode() for name in written)
        assert len(found) == len(written)
        assert is_sound(tmp_path)
    assert not caplog.records


@pytest.mark.process
def test_process_killed_within_a_change_changes_nothing(tmp_path, caplog):
    cache = EmbeddingCache(tmp_path)
    keys = [b"%d" % number for number in range(50)]
    cache.write({key: EmbeddedRecording(np.ones(192, np.float32), 1.0) for key in keys}, {})
    cache.close()
    process = start(WRITE_HALF, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE_NAME}-journal").exists()
    again = EmbeddingCache(tmp_path)
    assert set(again.find(keys)) == set(keys)
    again.write({b"new": TooShort(1.0)}, {})
    assert len(again.find([*keys, b"new"])) == 51
    assert is_sound(tmp_path)
    assert not caplog.records


@pytest.mark.process
def test_file_that_cannot_grow_warns_once_and_keeps_its_entries(tmp_path):
    process = start(WRITE_TO_THE_BRIM, tmp_path)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, "10\n")
    assert stderr.startswith(f"embeddings are not cached: {tmp_path / FILE_NAME}: ")
    assert stderr.count("\n") == 1
    assert is_sound(tmp_path)


def test_equal_weights_in_another_file_hit_and_others_miss(model, tiny_corpus, tmp_path, write_model):
    folder = tmp_path / "cache"
    first = embed(model, tiny_corpus.root, folder)
    entries = torch.load(model, weights_only=True)
    torch.save(dict(reversed(entries.items())) | {"epoch": 7}, tmp_path / "other.pt")
    assert (tmp_path / "other.pt").read_bytes() != model.read_bytes()
    found = embed(tmp_path / "other.pt", tiny_corpus.root, folder)
    assert found.n_cached == 16
    for recording, embedded in found.embeddings.items():
        assert np.array_equal(embedded.vector, first.embeddings[recording].vector)
    assert embed(write_model(tmp_path / "third.pt", seed=1), tiny_corpus.root, folder).n_cached == 0


@pytest.mark.parametrize("filled", [False, True])
def test_read_only_folder_warns_once_and_is_still_read(model, tiny_corpus, tmp_path, caplog, filled):
    folder = tmp_path / "cache"
    if filled:
        embed(model, tiny_corpus.root / "speaker0", folder)
        (folder / FILE_NAME).chmod(0o444)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write anywhere, as root does")
        found = embed(model, tiny_corpus.root, folder)
    finally:
        folder.chmod(0o755)
    assert len(found.embeddings) == 16
    assert found.n_cached == (4 if filled else 0)
    assert [record.getMessage().startswith("embeddings are not cached") for record in caplog.records] == [True]
