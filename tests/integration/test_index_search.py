"""Search generated voices in an index on disk: the funnel finds what an exact search finds, with either engine."""

import numpy as np
import pytest

from benchmarks.generated_voices import generate_voices
from mrlspk.index.funnel.search import search
from mrlspk.index.searching import arrays_of
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice
from mrlspk.index.voice_index import VoiceIndex
from voice_stores import store_settings

VOICES, QUERIES, DIM = 6000, 1000, 256


@pytest.fixture(scope="module")
def generated():
    return generate_voices(VOICES, QUERIES, dim=DIM, seed=5)


@pytest.fixture(scope="module")
def folder(generated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "voices"
    with VoiceStore.create(folder, store_settings(DIM, ShortlistSpec.default(DIM))) as store, store.writing() as writer:
        writer.add_voices(
            NewVoice(f"voice-{row}", (NewRecording(f"{row}.wav"),), vector[None], vector[None])
            for row, vector in enumerate(generated.enrolled)
        )
    return folder


def test_generated_voices_are_like_speaker_embeddings(generated):
    assert 0.01 < generated.eer(256) < 0.03
    assert 1.2 < generated.eer(64) / generated.eer(256) < 1.5


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
def test_funnel_finds_what_an_exact_search_finds(generated, folder, engine):
    cosines = generated.queries.astype(float) @ generated.enrolled.astype(float).T
    with VoiceStore.open(folder) as store, store.reading() as snapshot:
        found = search(arrays_of(snapshot), generated.queries, k=3, engine=engine)
    np.testing.assert_array_equal(found.slots, np.argsort(-cosines, axis=1)[:, :3])
    assert [stage.type for stage in found.stages] == ["bits", "float32"]


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
def test_names_of_most_second_recordings_come_first(generated, folder, engine):
    with VoiceIndex.open(folder) as index:
        results = index.search_many(generated.queries, k=1, engine=engine)
    first = [result.results[0].name for result in results]
    right = np.mean([name == f"voice-{target}" for name, target in zip(first, generated.targets, strict=True)])
    best = (generated.queries @ generated.enrolled.T).argmax(axis=1)
    assert right == np.mean(best == generated.targets) > 0.8
