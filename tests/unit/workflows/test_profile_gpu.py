"""`profile_gpu` on a made-up GPU, and the configurations that come of it."""

import pytest
import torch

from made_up_card import MadeUpCard, MadeUpProbe
from mrlspk.config import load_config
from mrlspk.workflows import profile_gpu as module
from mrlspk.workflows.profile_gpu import Wishes, profile_gpu, with_batch, write_config

NETWORK = "training.freeze_backbone_epochs=0"


@pytest.fixture
def card(monkeypatch):
    """A GPU with 10,000 MiB, of which other programs have 1,000 and CUDA 500."""
    card = MadeUpCard(10_000, others=1000, context=500).install(monkeypatch)
    monkeypatch.setattr(module, "find_device", lambda _name: MadeUpProbe.device)
    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: MadeUpProbe(card, per_crop=85))
    return card


def profile_of(config, tmp_path, **wishes):
    return profile_gpu(config, Wishes(**wishes), cache_dir=tmp_path)


@pytest.fixture
def config(tmp_path):
    return load_config(None, [NETWORK, f"data.train_dataset={tmp_path / 'none'}"])


@pytest.mark.usefixtures("card")
def test_the_report_of_a_gpu_says_what_is_free_and_how_fast_it_is(config, tmp_path):
    profile = profile_of(config, tmp_path)
    assert (profile.device, profile.prediction) == ("made-up card", False)
    assert (profile.total_mib, profile.limit_mib, profile.free_mib, profile.share) == (10_000, 10_000, 8500, 0.9)
    assert profile.usable_mib == pytest.approx(7650)
    assert (profile.key, profile.chosen, profile.batch_size) == ("training.batch_size", "largest", 88)  # 90 would fit
    assert profile.predicted_peak_mib == pytest.approx(88 * 85)
    assert all(point.utterances_per_second == pytest.approx(100) for point in profile.measured)
    assert [point.batch for point in profile.measured] == [2, 4, 8, 16, 32, 64, 88]


@pytest.mark.usefixtures("card")
def test_the_batch_that_makes_the_target_is_among_the_measured(config, tmp_path):
    profile = profile_of(config, tmp_path, target_batch=100)
    assert (profile.batch_size, profile.accumulation_steps) == (50, 2)
    assert 50 in [point.batch for point in profile.measured]


@pytest.mark.usefixtures("card")
def test_processes_share_the_target(config, tmp_path):
    many = config.model_copy(update={"hardware": config.hardware.model_copy(update={"devices": 4, "nodes": 2})})
    profile = profile_of(many, tmp_path, target_batch=1024)
    assert (profile.n_processes, profile.batch_size, profile.accumulation_steps) == (8, 64, 2)


def test_a_limit_is_held_while_steps_are_taken(card, config, tmp_path):
    profile = profile_of(config, tmp_path, limit_mib=6000)
    assert (profile.limit_mib, profile.free_mib) == (6000, 6000 - 512)
    assert profile.batch_size == 56  # 0.9 * 5,488 / 85 = 58.1
    assert card.fraction == 1


@pytest.mark.usefixtures("card")
def test_the_fastest_is_said_to_be_that(config, tmp_path):
    assert profile_of(config, tmp_path, fastest=True).chosen == "fastest"


@pytest.mark.usefixtures("card")
def test_a_target_of_the_configuration_counts_and_is_resolved_in_what_is_written(tmp_path):
    sets = ["training.batch_size=auto", "training.target_batch=512", f"data.train_dataset={tmp_path / 'none'}"]
    config = load_config(None, [NETWORK, *sets])
    path = tmp_path / "fitted.yaml"
    write_config(config, profile_of(config, tmp_path), path)
    written = load_config(path).training
    assert (written.batch_size, written.accumulation_steps, written.target_batch) == (86, 6, None)
    assert "measured on made-up card" in path.read_text()


@pytest.mark.usefixtures("card")
def test_a_run_of_the_head_gets_a_batch_for_its_network_and_keeps_its_own(tmp_path):
    config = load_config(None, [f"data.train_dataset={tmp_path / 'none'}"])
    profile = profile_of(config, tmp_path)
    assert profile.key == "features.batch_size"
    fitted = with_batch(config, profile)
    assert fitted.features.batch_size == 88
    assert fitted.training == config.training


@pytest.mark.usefixtures("card")
def test_the_target_of_a_run_of_the_head_is_one_batch_of_vectors(tmp_path):
    config = load_config(None, [f"data.train_dataset={tmp_path / 'none'}", "training.accumulation_steps=2"])
    profile = profile_of(config, tmp_path, target_batch=1000)
    fitted = with_batch(config, profile)
    assert profile.batch_size * profile.accumulation_steps >= 1000
    assert fitted.features.batch_size == profile.batch_size == 84
    assert (fitted.training.batch_size, fitted.training.accumulation_steps) == (1000, 1)


def test_a_run_of_the_head_is_profiled_by_its_pass_over_crops(monkeypatch, tmp_path):
    sets = [
        "model.pretrained.use_pretrained=false",
        "model.backbone={F: 8, C: 4, block_1d_type: conv, stages_setup: [[1, 1, 1, [[3, 3]], null]]}",
        "model.matryoshka_dims=[4, 8]",
        "hardware.device=cpu",
        f"data.train_dataset={tmp_path / 'none'}",
        "data.chunk_duration=0.4",
    ]
    with_gradients = []
    monkeypatch.setattr(
        "mrlspk.models.encoder.Encoder.pooled",
        lambda _encoder, waveform: with_gradients.append(torch.is_grad_enabled()) or 2 * waveform,
    )
    profile_of(load_config(None, sets), tmp_path, limit_mib=4096)
    assert with_gradients
    assert not any(with_gradients)
