"""The study of the voice index keeps speakers unenrolled, and queries apart from what is enrolled."""

import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from voice_index import embeddings, index

    yield embeddings, index
    for name in [each for each in sys.modules if each.split(".")[0] == "voice_index"]:
        del sys.modules[name]


@pytest.fixture
def vectors(parts):
    """Speakers of one recording (a), of one session (b) and of three sessions (c)."""
    ids = [f"a{number:03d}/s/1" for number in range(30)]
    ids += [f"b{number:03d}/s/{file}" for number in range(100) for file in range(3)]
    ids += [f"c{number:03d}/{session}/{file}" for number in range(50) for session in "xyz" for file in range(2)]
    n = len(ids)
    return parts[0].Vectors(np.full(n, "corpus"), np.array(ids), np.ones((n, 2), np.float32), np.ones(n), "f")


def test_hundred_speakers_stay_unenrolled_with_those_of_one_recording(parts, vectors):
    split = parts[1].split_speakers(vectors, seed=0)
    assert (split.enrolled != split.queries).all()
    unknown = set(vectors.speakers) - set(vectors.speakers[split.enrolled])
    assert len(unknown) == 100
    assert {name for name in set(vectors.speakers) if name.startswith("a")} <= unknown
    again, other = (parts[1].split_speakers(vectors, seed=seed) for seed in (0, 1))
    assert np.array_equal(again.enrolled, split.enrolled)
    assert not np.array_equal(other.enrolled, split.enrolled)


def test_queries_are_of_other_sessions_if_a_speaker_has_two(parts, vectors):
    split = parts[1].split_speakers(vectors, seed=0)
    for name in set(vectors.speakers[split.enrolled]):
        rows = vectors.speakers == name
        enrolled, asked = (vectors.sessions[rows & kind] for kind in (split.enrolled, split.queries))
        assert len(asked)
        if name.startswith("c"):
            assert set(enrolled) == {f"{name}/x", f"{name}/y"}
            assert set(asked) == {f"{name}/z"}
        else:
            assert (len(enrolled), len(asked)) == (2, 1)
