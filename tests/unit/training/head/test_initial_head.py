"""Training of a first head on stored vectors of speakers who differ in a few directions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.nn import functional

from factories import tiny_encoder
from mrlspk.config import load_config
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from mrlspk.models.head import MatryoshkaHead
from mrlspk.training.head.initial_head import train_first_head
from mrlspk.training.step import Stepper
from stored_rows import Rows

N_SPEAKERS, PER_SPEAKER = 12, 10


def pooled_vectors(n_features, seed):
    """Each speaker has a place in six of the directions; all others are noise, louder than that, far from zero."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(1).normal(size=(N_SPEAKERS, 6))
    classes = np.repeat(np.arange(N_SPEAKERS), PER_SPEAKER)
    values = 10 + 3 * rng.normal(size=(len(classes), n_features))
    values[:, :6] = 10 + places[classes] + 0.3 * rng.normal(size=(len(classes), 6))
    return torch.from_numpy(values).float(), classes


def separation(head, pooled, classes):
    """Return how far the mean cosine within speakers is above that across them."""
    with torch.no_grad():
        unit = functional.normalize(head(pooled), dim=1)
    cosine, own = unit @ unit.T, torch.from_numpy(classes[:, None] == classes[None])
    within = own & ~torch.eye(len(unit), dtype=torch.bool)
    return (cosine[within].mean() - cosine[~own].mean()).item()


@pytest.fixture
def state():
    """The parts of a run's state that the training of a first head reads."""
    torch.manual_seed(0)
    config = load_config(
        None,
        [
            "model.matryoshka_dims=[4,8]",
            "training.freeze_backbone_epochs=null",
            "training.num_epochs=8",
            "training.batch_size=24",
            "training.learning_rate=0.02",
            "head.start_decay=0",
            "training.warmup_epochs=0",
            "loss.distillation_weight=0.5",
            "loss.n_dims_per_step=1",
        ],
    )
    encoder = tiny_encoder((4, 8))
    _, classes = pooled_vectors(encoder.head.linear.in_features, seed=2)
    train = SimpleNamespace(
        n_classes=N_SPEAKERS, classes=classes, classes_of=lambda n_passes: np.tile(classes, n_passes)
    )
    return SimpleNamespace(
        config=config,
        plan=SimpleNamespace(data=SimpleNamespace(train=train), max_batches=None),
        module=SimpleNamespace(encoder=encoder),
        fabric=Fabric(accelerator="cpu", devices=1),
        batches=RankBatches(ShuffleSampler(len(classes), seed=0), batch_size=12, n_ranks=2),
        steps_per_epoch=5,
    )


def first_head(state):
    encoder = state.module.encoder
    pooled, _ = pooled_vectors(encoder.head.linear.in_features, seed=2)
    return train_first_head(state, Rows(pooled), pooled), pooled


def test_first_head_separates_speakers_better_than_untrained(state):
    head, pooled = first_head(state)
    others, classes = pooled_vectors(pooled.shape[1], seed=5)  # other utterances of the speakers
    torch.manual_seed(3)
    fresh = MatryoshkaHead(pooled.shape[1], 8)
    fresh.norm.load_state_dict(head.norm.state_dict())
    assert separation(head, others, classes) > separation(fresh.eval(), others, classes) + 0.2


def test_first_head_standardises_its_input(state):
    head, pooled = first_head(state)
    normalised = head.norm(pooled)
    assert torch.allclose(normalised.mean(0), torch.zeros(pooled.shape[1]), atol=1e-4)
    assert torch.allclose(normalised.var(0), torch.ones(pooled.shape[1]), atol=1e-3)
    assert head.linear.out_features == 8


def test_first_head_leaves_encoder_unchanged(state):
    encoder = state.module.encoder
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    first_head(state)
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())


def test_first_head_epochs_end_after_max_batches(state, monkeypatch):
    steps, take_step = [], Stepper.step

    def counted(stepper, group):
        steps.append(sum(len(classes) for _, classes in group))
        return take_step(stepper, group)

    monkeypatch.setattr(Stepper, "step", counted)
    state.plan.max_batches, state.steps_per_epoch = 2, 2
    first_head(state)
    assert steps == [24] * 8 * 2  # each with the crops of both processes
