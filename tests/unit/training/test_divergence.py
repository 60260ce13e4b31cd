import pytest
import torch

from factories import tiny_config
from mrlspk.errors import MrlspkError
from mrlspk.training.divergence import check_encoder
from mrlspk.training.fit import fit
from tiny_runs import network_run, prepared


def refusal(corpus, folder, *, loss=(), **training):
    """Return the run of a network with these settings, and the error that ends it."""
    settings = {"learning_rate": 1000.0, "warmup_epochs": 0, "max_nonfinite_steps": 2} | training
    run = network_run(prepared(tiny_config(corpus, training=settings, loss=dict(loss)), folder))
    with pytest.raises(MrlspkError) as caught:
        fit(run)
    return run, caught.value


def test_steps_of_diverged_weights_are_not_blamed_on_recordings(tiny_corpus, tmp_path):
    run, error = refusal(tiny_corpus, tmp_path, loss={"class_lr_multiplier": 1e9})
    assert error.where == "training.learning_rate"
    assert error.what.startswith("training has diverged by step ")
    assert error.what.endswith("loss or gradient is not finite, for white noise either")
    assert "below 1000; for classifier weights it is multiplied by loss.class_lr_multiplier, 1e+09" in error.fix
    assert not (run.run_dir / "nonfinite-step.json").exists()


def test_embeddings_of_diverged_weights_are_not_blamed_on_recordings(tiny_corpus, tmp_path):
    run, error = refusal(tiny_corpus, tmp_path, weight_decay=1000, max_nonfinite_steps=1000)
    assert error.where == "training.learning_rate"
    assert error.what.endswith("the embedding of white noise is zero or not finite")
    assert "recordings are not at fault" in error.fix
    assert run.state.progress.epoch < 3


def test_the_check_of_an_encoder_draws_nothing_from_the_generators(tiny_corpus, tmp_path):
    run = network_run(prepared(tiny_config(tiny_corpus), tmp_path))
    before = torch.get_rng_state()
    check_encoder(run, run.state.module.current_encoder())
    assert torch.equal(torch.get_rng_state(), before)
