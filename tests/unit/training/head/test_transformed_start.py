"""The transform that training starts from, in the head of a tiny network: against the closed form on embeddings."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from factories import tiny_encoder
from mrlspk.config import load_config
from mrlspk.data.manifest import Manifest
from mrlspk.errors import DataError
from mrlspk.rotation.transform import fit_transform
from mrlspk.training.head.pooled_vectors import SpeakerVectors
from mrlspk.training.head.transformed_start import transform_head, wants_transform
from stored_rows import Rows

SPEAKERS = np.arange(60) % 12


@pytest.fixture
def vectors():
    """Pooled vectors of twelve speakers."""
    rng = np.random.default_rng(0)
    n_features = tiny_encoder().pooled_dim
    pooled = 1 + rng.normal(size=(12, n_features))[SPEAKERS] + 0.7 * rng.normal(size=(60, n_features))
    return SpeakerVectors(Manifest("by hand", ()), torch.from_numpy(pooled).float(), SPEAKERS)


def state_of(*settings, dims=(4, 8), rotation="auto"):
    """The parts of a run's state that the transform of its start reads."""
    config = load_config(None, [f"model.matryoshka_dims={list(dims)}", *settings])
    module = SimpleNamespace(encoder=tiny_encoder(dims, seed=1))
    train = SimpleNamespace(speakers=range(12), classes_of=lambda n_passes: np.tile(np.arange(24), n_passes))
    plan = SimpleNamespace(data=SimpleNamespace(train=train, domains={}))  # crops of twelve speakers, at two speeds
    return SimpleNamespace(config=config, module=module, wanted_rotation=rotation, plan=plan)


@pytest.fixture
def crops(vectors):
    """One crop of each speaker at each speed, four times."""
    rng = np.random.default_rng(1)
    return Rows(torch.from_numpy(1 + rng.normal(size=(4 * 24, vectors.pooled.shape[1]))).float())


def unchanged(crops):
    """The crops at unchanged speed, and their speakers."""
    rows = np.concatenate([np.arange(12) + 24 * number for number in range(4)])
    return crops.rows(rows), rows % 24


def embed(head, pooled):
    """Embeddings in float64, not of unit length."""
    with torch.no_grad():
        return head.double()(pooled.double()).numpy()


@pytest.mark.parametrize(("centre", "flatten", "order"), [(True, 0.15, "scatter"), (False, 0.3, "energy")])
def test_start_computes_the_transform_of_whole_files_and_crops(vectors, crops, centre, flatten, order):
    own = tiny_encoder(seed=2).copy_head()
    before = embed(own, vectors.pooled)
    state = state_of(f"head.centre={str(centre).lower()}", f"head.flatten={flatten}", f"head.order={order}")
    entry = transform_head(state, own.float(), vectors, crops)
    pooled, speakers = unchanged(crops)
    expected = fit_transform(
        np.concatenate([before, embed(own, pooled)]),
        np.concatenate([SPEAKERS, speakers]),
        centre=centre,
        flatten=flatten,
        order=order,
        unit_length=False,
    )
    wanted = (before - expected.mean) @ expected.scaled_matrix.T
    assert embed(state.module.encoder.copy_head(), vectors.pooled) == pytest.approx(wanted, abs=1e-4)
    assert entry == {"centred": centre, "flatten": flatten, "order": order}


def test_each_domain_counts_once_in_the_start(vectors, crops):
    own, state = tiny_encoder(seed=2).copy_head(), state_of()
    state.plan.data.domains = {speaker: "large" if speaker < 9 else "small" for speaker in range(12)}
    transform_head(state, own, vectors, crops)
    pooled, speakers = unchanged(crops)
    labels = np.concatenate([SPEAKERS, speakers])
    before = np.concatenate([embed(own, each) for each in (vectors.pooled, pooled)])
    options = {"centre": True, "flatten": 0.2, "order": "energy", "unit_length": False}
    expected = fit_transform(before, labels, corpus_index=labels // 9, **options)
    wanted = (before[:60] - expected.mean) @ expected.scaled_matrix.T
    assert embed(state.module.encoder.copy_head(), vectors.pooled) == pytest.approx(wanted, abs=1e-4)


def test_narrow_start_is_cut_from_the_transform_of_all_values(vectors, crops):
    whole, narrow = state_of(), state_of(dims=(3, 6))
    own = tiny_encoder(seed=2).copy_head()
    for state in (whole, narrow):
        transform_head(state, own, vectors, crops)
    first, second = (embed(each.module.encoder.copy_head(), vectors.pooled) for each in (whole, narrow))
    assert second == pytest.approx(first[:, :6], abs=1e-5)


def test_start_does_not_amplify_directions_that_the_model_does_not_use(vectors, crops):
    own = tiny_encoder(seed=2).copy_head()
    with torch.no_grad():  # three of eight values repeat others, up to rounding
        own.linear.weight[5:] = own.linear.weight[:3] + 1e-6 * own.linear.weight[5:]
        own.linear.bias[5:] = own.linear.bias[:3]
    state = state_of("head.flatten=0.45", "head.order=energy")
    transform_head(state, own, vectors, crops)
    energy = embed(state.module.encoder.copy_head(), vectors.pooled).var(axis=0)
    assert energy[5:].max() < 1e-9 * energy[:5].min()  # last, and raised from 1e-12 by no more than 100 ** 0.9


@pytest.mark.parametrize(
    ("settings", "rotation", "wanted"),
    [
        ((), "auto", True),
        (("head.centre=false",), "auto", True),
        (("head.flatten=0",), "auto", True),
        (("head.centre=false", "head.flatten=0"), "auto", False),
        (("head.trained=orthogonal",), "auto", False),
        (("head.trained=none",), "auto", False),
        ((), "none", False),
    ],
)
def test_training_starts_from_a_transform_only_if_it_may_change_cosines(settings, rotation, wanted):
    assert wants_transform(state_of(*settings, rotation=rotation)) is wanted


def test_speech_that_no_transform_can_be_fitted_to_is_an_error(vectors, crops):
    one = replace(vectors, speaker_index=np.zeros(60, np.int64))
    state = state_of("head.order=scatter")
    state.plan.data.train = SimpleNamespace(speakers=range(1), classes_of=lambda n_passes: np.zeros(24 * n_passes, int))
    with pytest.raises(DataError, match="needs? two speakers") as caught:
        transform_head(state, tiny_encoder(seed=2).copy_head(), one, crops)
    assert "head.flatten=0" in caught.value.fix
