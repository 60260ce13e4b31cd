"""Stored vectors as the corpus of a run."""

import logging

import numpy as np
import pytest

from mrlspk.config.data import DataConfig
from mrlspk.errors import DataError
from mrlspk.training.vector_corpus import read_vector_data
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable


def table(prefix, *, n_speakers=6, seed=0, suffix=""):
    ids = tuple(f"{prefix}{s}/{n}{suffix}" for s in range(n_speakers) for n in range(3))
    return VectorTable(ids, np.random.default_rng(seed).normal(size=(len(ids), 4)).astype(np.float32))


@pytest.fixture
def read(tmp_path):
    def command(*tables, names="abc", suffix=".npz", seed=0, **options):
        paths = [tmp_path / f"{name}{suffix}" for name in names[: len(tables)]]
        for path, each in zip(paths, tables, strict=True):
            save_vectors(each, path, force=True)
        options = {"n_validation_speakers": 4, "n_validation_trials": 40} | options
        return read_vector_data(DataConfig(vectors=tuple(paths), **options), seed=seed)

    return command


def test_speakers_are_held_out_of_the_vectors(read):
    data = read(table("a"))
    assert len(data.validation.speakers) == 4
    assert {*data.corpus.speakers} | {*data.validation.speakers} == {f"a{n}" for n in range(6)}
    assert {*data.validation_trials.utterance_ids} <= {each.utterance_id for each in data.validation.utterances}
    assert (data.train.n_classes, len(data.train), data.domains) == (2, 6, {})
    chosen = data.vectors.rows(data.rows_of(data.corpus.utterances))
    own = dict(zip(table("a").ids, table("a").vectors, strict=True))
    for each, row in zip(data.corpus.utterances, chosen, strict=True):
        np.testing.assert_allclose(row, own[each.utterance_id] / np.linalg.norm(own[each.utterance_id]), atol=1e-6)


def test_each_file_is_a_domain_and_no_trial_crosses_them(read):
    data = read(table("a"), table("b", seed=1))
    assert data.domains == {f"{name}{n}": name for name in "ab" for n in range(6)}
    assert {speaker[0] for speaker in data.validation.speakers} == {*"ab"}
    sides = zip(data.validation_trials.enroll_ids, data.validation_trials.test_ids, strict=True)
    assert {one[0] == other[0] for one, other in sides} == {True}
    assert data.corpus.root.name == "a.npz + b.npz"


def test_speaker_of_two_files_is_one_and_is_told(read, caplog):
    with caplog.at_level(logging.WARNING, "mrlspk.data"):
        data = read(table("a"), table("a", n_speakers=7, suffix="#crop", seed=1))
    assert "6 speakers have vectors in several files, and count as one speaker each: a0, a1, a2" in caplog.text
    assert len({*data.corpus.speakers, *data.validation.speakers}) == 7
    assert data.domains["a0"] == "a"


def test_other_vectors_are_validated_on(read, tmp_path):
    save_vectors(table("v", seed=1), tmp_path / "v.npz", force=False)
    data = read(table("a"), val_vectors=(tmp_path / "v.npz",))
    assert {speaker[0] for speaker in data.validation.speakers} == {"v"}
    assert len(data.corpus.speakers) == 6
    save_vectors(table("a", suffix="x"), tmp_path / "v.npz", force=True)
    with pytest.raises(DataError, match="expected other speakers than in training"):
        read(table("a"), val_vectors=(tmp_path / "v.npz",))


def test_fingerprint_is_of_ids_speakers_and_values(read, tmp_path):
    first = read(table("a")).train.fingerprint
    assert read(table("a"), suffix=".ark").train.fingerprint == first
    assert read(table("a", seed=1)).train.fingerprint != first
    labels = tmp_path / "utt2spk"
    labels.write_text("".join(f"{id_} b{n // 3}\n" for n, id_ in enumerate(table("a").ids)))
    assert read(table("a"), speakers=labels).train.fingerprint != first


@pytest.mark.parametrize(
    ("ids", "options", "told"),
    [
        (("x1", "x2"), {}, "2 of 2 ids have no speaker, such as x1, x2"),
        (("a/1", "b/1", "b/2"), {}, "cannot hold out 4 of 2 speakers: only 1 have two utterances"),
        (("a b/1", "a b/2"), {}, "got 'a b/1': its path holds white space"),
    ],
)
def test_vectors_that_cannot_be_trained_on_are_refused(read, tmp_path, ids, options, told):
    with pytest.raises(DataError) as caught:
        read(VectorTable(ids, np.ones((len(ids), 4), np.float32)), **options)
    assert told in caught.value.what
    assert caught.value.where == tmp_path / "a.npz"
