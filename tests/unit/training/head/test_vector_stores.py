"""Stored vectors in place of feature stores."""

import numpy as np
import pytest

from mrlspk.config import Config
from mrlspk.config.data import DataConfig, FeaturesConfig
from mrlspk.training.head.vector_stores import VectorStores
from mrlspk.training.vector_corpus import read_vector_data
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

IDS = tuple(f"s{s}/{n}" for s in range(8) for n in range(3))
VALUES = np.random.default_rng(0).normal(size=(len(IDS), 4)).astype(np.float32)
UNIT = dict(zip(IDS, VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True), strict=True))


@pytest.fixture
def stores(tmp_path):
    order = np.random.default_rng(1).permutation(len(IDS))  # rows in another order than the ids
    save_vectors(VectorTable(tuple(IDS[n] for n in order), VALUES[order]), tmp_path / "v.npz", force=False)
    data = DataConfig(vectors=(tmp_path / "v.npz",), n_validation_speakers=2, n_validation_trials=20)
    config = Config(data=data, features=FeaturesConfig(n_whole=15))
    return VectorStores(config, read_vector_data(data, seed=config.seed))


def test_every_pass_has_the_vector_of_its_utterance(stores):
    rows = stores.crops(stores.data)
    ids = stores.data.train.utterance_ids
    assert (rows.n_rows, rows.n_features, rows.nbytes) == (len(ids), 4, len(ids) * 16)
    for index in (0, 3, len(ids) + 3, 3 * len(ids) + 7):
        np.testing.assert_allclose(rows.rows(np.array([index]))[0], UNIT[ids[index % len(ids)]], atol=1e-6)


def test_rotation_is_selected_on_the_vectors_themselves(stores):
    found = stores.whole(stores.data.corpus, with_choice=True)
    assert {each.speaker_id for each in found.corpus.utterances} == {*stores.data.corpus.speakers}
    assert found.short is not None
    for part in (found, found.short):
        expected = [UNIT[each.utterance_id] for each in part.corpus.utterances]
        np.testing.assert_allclose(part.pooled, expected, atol=1e-6)
    names = [stores.data.corpus.speakers[number] for number in found.speaker_index]
    assert names == [each.speaker_id for each in found.corpus.utterances]
    assert stores.whole(stores.data.corpus, with_choice=False).short is None
