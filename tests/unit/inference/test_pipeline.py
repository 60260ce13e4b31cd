import _thread
import threading
import time
from contextlib import closing
from itertools import count, islice

import numpy as np
import pytest

from fake_audio import FakeAudio, FirstAndLast
from mrlspk.errors import DataError
from mrlspk.inference import pipeline as pipeline_module
from mrlspk.inference.decoding import decode, decoded_samples
from mrlspk.inference.embed_stream import embed_stream
from mrlspk.inference.recording import EmbeddedRecording

RATE = 16_000
OPTIONS = {"batch_size": 4, "max_seconds": 60.0}


@pytest.fixture
def audio(monkeypatch):
    return FakeAudio(block=RATE).install(monkeypatch)


class Concurrent(FirstAndLast):
    """A model that two threads may call; the calls of shorter waveforms take longer."""

    concurrency = 2

    def embed(self, waveforms):
        time.sleep(0.02 if waveforms.shape[1] < RATE else 0)
        return super().embed(waveforms)


def numbered(audio, lengths):
    """Add recordings whose samples are all their number from 1."""
    return [audio.add(f"{number}", [number] * length) for number, length in enumerate(lengths, start=1)]


def own_threads():
    return [each for each in threading.enumerate() if each.name.startswith("mrlspk-")]


def test_results_come_in_order_with_their_own_vectors(audio):
    recordings = numbered(audio, [9000, 16_000, 20_000, 9000, 9000, 17_000, 1, 9000, 16_000])
    found = list(embed_stream(Concurrent(), recordings, **OPTIONS))
    assert [each for each, _ in found] == recordings
    assert isinstance(found[6][1], DataError)
    vectors = [each.vector.tolist() for _, each in found if isinstance(each, EmbeddedRecording)]
    assert vectors == [[number, number] for number in (1, 2, 3, 4, 5, 6, 8, 9)]


def test_two_calls_of_the_network_run_at_once(audio):
    meet = threading.Barrier(2, timeout=5)

    class Meeting(Concurrent):
        def embed(self, waveforms):
            meet.wait()
            return super().embed(waveforms)

    assert len(list(embed_stream(Meeting(), numbered(audio, [9000, 9001]), **OPTIONS))) == 2
    assert not meet.broken


def test_windows_of_one_recording_use_all_threads_of_the_network(audio):
    meet = threading.Barrier(2, timeout=5)

    class Meeting(Concurrent):
        def embed(self, waveforms):
            meet.wait()
            return super().embed(waveforms)

    (found,) = embed_stream(Meeting(), [audio.add("a", [1] * 2 * RATE)], batch_size=1, max_seconds=1.0)
    assert found[1].vector == pytest.approx([0.5**0.5] * 2)


def test_decoding_runs_ahead_of_the_network(audio):
    opened_by_call = []

    class Noting(FirstAndLast):
        def embed(self, waveforms):
            deadline = time.monotonic() + 5
            while len(audio.opened) < 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            opened_by_call.append(len(audio.opened))
            return super().embed(waveforms)

    list(embed_stream(Noting(), numbered(audio, [9000, 9001, 9002, 9003]), batch_size=1, max_seconds=60))
    assert opened_by_call[0] >= 3


def test_endless_recordings_are_begun_a_bounded_number_ahead(audio, monkeypatch):
    monkeypatch.setattr(pipeline_module, "MOST_BEGUN", 8)
    begun = []

    def endless():
        for number in count(1):
            begun.append(number)
            yield audio.add(f"{number}", [number] * (8000 + number % 7))

    with closing(embed_stream(FirstAndLast(), endless(), **OPTIONS)) as results:
        for number, (recording, _) in enumerate(islice(results, 60), start=1):
            assert str(recording) == f"{number}"
            assert len(begun) - number < 4 * 4 + 8
    assert own_threads() == []


def test_samples_in_memory_are_bounded(audio, monkeypatch):
    monkeypatch.setattr(pipeline_module, "MAX_HELD_SECONDS", 3.0)
    opened = []

    class Slow(FirstAndLast):
        def embed(self, waveforms):
            time.sleep(0 if opened else 0.2)
            opened.append(len(audio.opened))
            return super().embed(waveforms)

    list(embed_stream(Slow(), numbered(audio, [RATE] * 3 + [RATE + 1] * 20), batch_size=1, max_seconds=60))
    assert opened[0] <= 3 + 2  # held, and decoded by then


def test_early_close_ends_the_threads_within_a_block(audio, monkeypatch):
    endless = audio.add("long", [0.5] * RATE)

    class Endless:
        warnings = ()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def blocks(self):
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                time.sleep(0.001)
                yield np.zeros(RATE, np.float32)

    short = audio.add("short", [1] * RATE)
    opened = audio.open
    monkeypatch.setattr(
        "mrlspk.inference.decoding.open_audio",
        lambda source, **options: Endless() if str(source) == "long" else opened(source, **options),
    )
    results = embed_stream(FirstAndLast(), [short, endless], batch_size=1, max_seconds=60)
    assert next(results)[0] is short
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 2
    assert own_threads() == []


def test_interrupt_ends_the_threads_and_drops_what_waits(audio):
    shapes = []

    class Interrupted(Concurrent):
        def embed(self, waveforms):
            shapes.append(waveforms.shape)
            if len(shapes) == 2:
                _thread.interrupt_main()
            time.sleep(0.05)
            return super().embed(waveforms)

    recordings = numbered(audio, range(16_000, 16_060))
    with pytest.raises(KeyboardInterrupt):
        list(embed_stream(Interrupted(), recordings, batch_size=1, max_seconds=60))
    deadline = time.monotonic() + 2  # a thread that was starting is not waited for
    while own_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert own_threads() == []
    assert len(shapes) < 10


def test_fault_of_the_model_is_raised_after_what_came_before(audio):
    class Faulty(FirstAndLast):
        def embed(self, waveforms):
            if waveforms[0, 0] == 2:
                raise RuntimeError("out of memory")
            return super().embed(waveforms)

    results = embed_stream(Faulty(), numbered(audio, [9000, 9001, 9002]), batch_size=1, max_seconds=60)
    assert next(results)[1].vector.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="out of memory"):
        next(results)
    assert own_threads() == []


def test_batches_of_two_calls_at_once_are_smaller(audio):
    alone, concurrent = FirstAndLast(), Concurrent()
    for model in (alone, concurrent):
        list(embed_stream(model, numbered(audio, [10 * RATE] * 6), batch_size=6, max_seconds=60))
    assert alone.shapes == [(6, 10 * RATE)]
    assert sorted(concurrent.shapes) == [(1, 10 * RATE)] * 6


def test_held_samples_are_all_or_none(audio, monkeypatch):
    assert decoded_samples(np.zeros(5, np.float32), "a", sample_rate=1, speech=None).n_held == 5
    monkeypatch.setattr("mrlspk.inference.decoding.HELD_SECONDS", 1)
    source = audio.add("a", [1] * (RATE + 1)).source
    assert decode(source, sample_rate=RATE, speech=None).n_held == 0
