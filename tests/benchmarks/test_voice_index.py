"""Compare searches of a million generated voices with faiss's flat index, on one thread, in one run.

    .venv/bin/pytest tests/benchmarks/test_voice_index.py -s

It takes some minutes, 6 GB of memory and 3 GB of disk, and prints a table. Each row is the median of interleaved
measurements. ``BENCHMARK_VOICES=100000`` makes it smaller.
"""

import itertools
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.generated_voices import generate_voices
from mrlspk.index.funnel.probes import Probes, noisy_copies
from mrlspk.index.funnel.search import search
from mrlspk.index.funnel.tuning import tune
from mrlspk.index.searching import arrays_of
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice
from mrlspk.index.voice_index import VoiceIndex

faiss = pytest.importorskip("faiss")

VOICES = int(os.environ.get("BENCHMARK_VOICES", "1_000_000"))
QUERIES, DIM, ADDED = 1000, 256, 1000
ANONYMOUS = """
import sys
import numpy as np
from mrlspk.index.voice_index import VoiceIndex
index = VoiceIndex.open(sys.argv[1])
for query in np.load(sys.argv[2])[:20]:
    index.search(query, k=10, engine=sys.argv[3])
print(next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Anonymous:")))
"""


@dataclass
class Million:
    """A million voices in an index on disk and in a flat index in memory."""

    folder: Path
    queries: np.ndarray
    eers: dict[int, float]
    flat: object
    build_seconds: float
    add_seconds: float
    best: np.ndarray = field(init=False)

    def __post_init__(self):
        self.best = self.flat.search(self.queries, 10)[1]


def settings():
    return IndexSettings(
        embed_dim=DIM, dims=(64, 128, DIM), shortlist=ShortlistSpec.default(DIM), created="now", mrlspk_version="0"
    )


def add(store, vectors, first):
    start = time.perf_counter()
    with store.writing() as writer:
        writer.add_voices(
            NewVoice(f"voice-{row}", (NewRecording(f"{row}.wav", 5.0, 4.0),), vector[None], vector[None])
            for row, vector in enumerate(vectors, first)
        )
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    with threadpool_limits(1):
        generated = generate_voices(VOICES + ADDED, QUERIES, dim=DIM)
        eers = {dim: generated.eer(dim) for dim in (64, 128, DIM)}
        with VoiceStore.create(folder / "empty", settings()):
            pass
        with VoiceStore.create(folder / "index", settings()) as store:
            build_seconds = add(store, generated.enrolled[:VOICES], 0)
            add_seconds = add(store, generated.enrolled[VOICES:], VOICES)
        flat = faiss.IndexFlatIP(DIM)
        flat.add(generated.enrolled)
        np.save(folder / "queries.npy", generated.queries)
        yield Million(folder, generated.queries, eers, flat, build_seconds, add_seconds)


def medians(calls, rounds):
    """Return the median milliseconds of each call, one of each after the other, after a round to warm up.

    Each call has a query of its own: rows that one has read are not warm for the next.
    """
    seconds = {name: [] for name in calls}
    numbers = itertools.count()
    for _, (name, call) in itertools.product(range(rounds + 1), calls.items()):
        number = next(numbers) % QUERIES
        start = time.perf_counter()
        call(number)
        seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * float(np.median(times[1:])) for name, times in seconds.items()}


def show(title, times, against, *notes):
    tell("", title)
    tell(*(f"| {name} | {time_:.2f} ms | {times[against] / time_:.1f}x |" for name, time_ in times.items()), *notes)


def tell(*lines):
    sys.stdout.write("\n".join(lines) + "\n")


def test_generated_voices_are_like_speaker_embeddings(million):
    ratio = million.eers[64] / million.eers[DIM]
    tell("", "EER", str({dim: f"{eer:.2%}" for dim, eer in million.eers.items()}), f"64 to {DIM}: {ratio:.2f}")
    assert 0.01 < million.eers[DIM] < 0.03
    assert 1.2 < ratio < 1.5


@pytest.mark.parametrize("k", [1, 10])
def test_one_query_at_a_time(million, k):
    queries = million.queries
    with VoiceIndex.open(million.folder / "index") as index, index.store.reading() as snapshot:
        arrays = arrays_of(snapshot)

        def ours(engine):
            return lambda row: search(arrays, queries[row : row + 1], k=k, engine=engine)

        times = medians(
            {
                "faiss flat, 256 values": lambda row: million.flat.search(queries[row : row + 1], k),
                "index with faiss": ours("faiss"),
                "index with NumPy": ours("numpy"),
                "index with faiss, names looked up": lambda row: index.search(queries[row], k=k, engine="faiss"),
                "index with NumPy, names looked up": lambda row: index.search(queries[row], k=k, engine="numpy"),
            },
            rounds=101,
        )
        found = {engine: search(arrays, queries, k=k, engine=engine) for engine in ("faiss", "numpy")}
    read = sum(stage.bytes for stage in search(arrays, queries[:1], k=k).stages)
    same = np.mean(
        [len(set(ours) & set(best)) / k for ours, best in zip(found["faiss"].slots, million.best[:, :k], strict=True)]
    )
    show(f"one query, k = {k}", times, "faiss flat, 256 values", f"recall {same:.4f}, bytes read {read:,}")
    np.testing.assert_array_equal(found["faiss"].slots, found["numpy"].slots)
    assert same >= (0.999 if k == 1 else 0.99)
    assert read <= VOICES * DIM * 4 / 3
    if VOICES >= 1_000_000 and k == 1:
        assert times["index with faiss"] <= times["faiss flat, 256 values"] / 10
        assert times["index with NumPy"] <= times["faiss flat, 256 values"] / 3


def test_batches_of_a_hundred(million):
    with VoiceStore.open(million.folder / "index") as store, store.reading() as snapshot:
        arrays = arrays_of(snapshot)
        batch = million.queries[:100]
        times = medians(
            {
                "faiss flat": lambda _: million.flat.search(batch, 1),
                "index with faiss": lambda _: search(arrays, batch, k=1, engine="faiss"),
                "index with NumPy": lambda _: search(arrays, batch, k=1, engine="numpy"),
            },
            rounds=3,
        )
    show("100 queries at once", times, "faiss flat")
    if VOICES >= 1_000_000:
        assert max(times["index with faiss"], times["index with NumPy"]) <= times["faiss flat"] / 5


def test_filters_that_allow_one_percent(million):
    allowed = np.random.default_rng(0).random(VOICES + ADDED) < 0.01
    chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(np.flatnonzero(allowed)))
    queries = million.queries
    with VoiceStore.open(million.folder / "index") as store, store.reading() as snapshot:
        arrays = arrays_of(snapshot)

        def ours(engine):
            return lambda row: search(arrays, queries[row : row + 1], k=1, allowed=allowed, engine=engine)

        times = medians(
            {
                "faiss flat": lambda row: million.flat.search(queries[row : row + 1], 1, params=chosen),
                "index with faiss": ours("faiss"),
                "index with NumPy": ours("numpy"),
            },
            rounds=21,
        )
        found = search(arrays, queries, k=1, allowed=allowed)
    best = million.flat.search(queries, 1, params=chosen)[1]
    recall = np.mean(found.slots == best)
    show("a filter that allows 1 %", times, "faiss flat", f"recall {recall:.4f}")
    assert recall >= 0.999


def test_first_answer_and_additions(million):
    folder = million.folder / "index"

    def read_vectors(_):
        for path in folder.glob("vectors-*/profiles.f32"):
            np.fromfile(path, np.float32)

    def open_and_answer(row):
        with VoiceIndex.open(folder) as index:
            index.search(million.queries[row], k=1)

    times = medians({"read the vectors with NumPy": read_vectors, "open and answer once": open_and_answer}, rounds=7)
    share = million.add_seconds / million.build_seconds
    show(
        "first answer, warm cache",
        times,
        "read the vectors with NumPy",
        f"build {million.build_seconds:.1f} s, {ADDED} more {million.add_seconds:.2f} s: {share:.2%}",
    )
    if VOICES >= 1_000_000:
        assert times["open and answer once"] <= times["read the vectors with NumPy"] / 2
        assert share <= 0.01


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
def test_anonymous_memory_stays_near_that_of_an_empty_index(million, engine):
    def anonymous_mib(name):
        command = [sys.executable, "-c", ANONYMOUS, million.folder / name, million.folder / "queries.npy"]
        return int(subprocess.run([*command, engine], capture_output=True, check=True, text=True).stdout) / 1024

    empty, full = anonymous_mib("empty"), anonymous_mib("index")
    tell("", f"anonymous memory with {engine}: empty {empty:.0f} MiB, {VOICES:,} voices {full:.0f} MiB")
    assert full - empty <= 100


@pytest.mark.parametrize("engine", ["faiss", "numpy"])
def test_tuned_shortlists(million, engine):
    with VoiceStore.open(million.folder / "index") as store, store.reading() as snapshot:
        arrays = arrays_of(snapshot)
        for probes in (Probes(million.queries, "recordings"), noisy_copies(arrays, count=QUERIES)):
            start = time.perf_counter()
            report = tune(arrays, probes, 0.999, engine=engine)
            tell("", f"tune with {engine}, {probes.source}: {report.best}, {time.perf_counter() - start:.0f} s")
            tell(*map(str, report.measured))
            assert report.best is not None
