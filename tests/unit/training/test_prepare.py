"""Preparing the state of a run: built from its plan, without effects on disk."""

import pytest
import torch

from factories import tiny_config, write_tiny_model
from mrlspk.errors import CheckpointError, ConfigError
from mrlspk.models.checkpoints import read_checkpoint
from mrlspk.training.fit import fit
from mrlspk.training.head.module import HeadModule
from mrlspk.training.records import Progress
from mrlspk.training.state import describe_run
from tiny_runs import network_run, plan_of, prepared


def files_in(*folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}


def started_from(path, *, epochs_frozen=0):
    """Return the sections of a run that starts from a model."""
    pretrained = {"use_pretrained": True, "pretrained_checkpoint": str(path)}
    return {
        "model": {"pretrained": pretrained, "backbone": None},
        "training": {"freeze_backbone_epochs": epochs_frozen},
    }


@pytest.fixture
def model(tmp_path):
    return write_tiny_model(tmp_path / "models" / "origin.pt", dims=(4, 8), seed=5)


@pytest.mark.parametrize("epochs_frozen", [0, None])
def test_prepare_writes_nothing(tiny_corpus, tmp_path, model, epochs_frozen):
    before = files_in(tmp_path, tiny_corpus)
    state = prepared(tiny_config(tiny_corpus, **started_from(model, epochs_frozen=epochs_frozen)), tmp_path)
    assert files_in(tmp_path, tiny_corpus) == before
    assert isinstance(state.module, HeadModule) == (epochs_frozen is None)


def test_prepare_is_reproducible(tiny_corpus, tmp_path):
    config = tiny_config(tiny_corpus)
    one = prepared(config, tmp_path)
    torch.rand(7)
    other = prepared(config, tmp_path)
    weights = other.module.state_dict()
    assert all(torch.equal(values, weights[name]) for name, values in one.module.state_dict().items())
    assert one.progress == other.progress == Progress()


def test_state_from_scratch_took_over_nothing(tiny_corpus, tmp_path):
    state = prepared(tiny_config(tiny_corpus), tmp_path)
    assert (state.loaded, state.warm_start, state.published_head, dict(state.start)) == (None, None, None, {})
    assert not state.plan.resumes


def test_state_from_a_model_has_its_weights(tiny_corpus, tmp_path, model):
    state = prepared(tiny_config(tiny_corpus, **started_from(model)), tmp_path)
    weights = read_checkpoint(model)["model"]
    assert all(torch.equal(values, weights[name]) for name, values in state.module.encoder.state_dict().items())
    assert (state.warm_start.head_rows_kept, state.warm_start.class_weights) == (8, "rebuilt")
    assert state.wanted_rotation == "none"  # its head is Matryoshka already
    assert state.wants_class_means


def test_sizes_follow_batches_and_accumulation(tiny_corpus, tmp_path):
    config = tiny_config(tiny_corpus, training={"accumulation_steps": 2})  # 12 crops, batches of 4, steps of 8
    state = prepared(config, tmp_path)
    assert (state.n_batches, state.steps_per_epoch, state.effective_batch) == (3, 2, 8)
    facts = describe_run(prepared(config, tmp_path, max_batches=2))
    assert (facts.steps_per_epoch, facts.effective_batch) == (1, 8)
    assert (facts.n_speakers, facts.n_validation_speakers, facts.n_classes) == (2, 2, 4)  # two speeds
    assert facts.baselines is None


def test_batch_larger_than_the_epoch_is_refused(tiny_corpus, tmp_path):
    with pytest.raises(ConfigError, match=r"12 crops does not fill a batch of 16[\s\S]*raise data.crops_per_epoch"):
        prepared(tiny_config(tiny_corpus, training={"batch_size": 16}), tmp_path)


def test_resumed_state_continues_where_the_run_stopped(tiny_corpus, tmp_path):
    config = tiny_config(tiny_corpus)
    run = network_run(prepared(config, tmp_path))
    fit(run)
    before = files_in(tmp_path)
    state = prepared(config, tmp_path, resume_path=tmp_path / "run" / "last.pt")
    assert files_in(tmp_path) == before
    assert state.progress == run.state.progress
    weights = run.state.module.state_dict()
    assert all(torch.equal(values, weights[name]) for name, values in state.module.state_dict().items())
    assert state.plan.resumes
    assert state.loaded is None  # its tensors are freed
    assert describe_run(state).first_step == 9


def test_resume_with_another_corpus_is_refused_unless_allowed(tiny_corpus, tmp_path):
    fit(network_run(prepared(tiny_config(tiny_corpus), tmp_path)))
    other = tiny_config(tiny_corpus, data={"n_validation_trials": 20})
    point = tmp_path / "run" / "last.pt"
    with pytest.raises(CheckpointError, match="corpus"):
        prepared(other, tmp_path, resume_path=point)
    assert prepared(other, tmp_path, resume_path=point, allow_changes=True).progress.epoch == 3


def test_plan_names_the_utterance_of_a_crop(tiny_corpus, tmp_path):
    state = prepared(tiny_config(tiny_corpus), tmp_path)
    ids = set(plan_of(tiny_config(tiny_corpus), tmp_path).data.train.utterance_ids)
    keys = state.batches.crops_at(0, n_crops_done=0, n_batches=3)
    assert len(keys) == 12
    assert {state.plan.name_crop(key) for key in keys} <= ids
