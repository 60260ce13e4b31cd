"""`profile_gpu` on a fake GPU."""

import pytest
import torch

from factories import TINY_SETTINGS
from fake_gpu import FakeGpu, FakeProbe
from mrlspk.config import load_config
from mrlspk.files import claimed_file
from mrlspk.workflows import profile_gpu as module
from mrlspk.workflows.profile_gpu import profile_gpu, with_batch, write_config
from tiny_corpora import write_speakers

NETWORK = "training.freeze_backbone_epochs=0"


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with 10,000 MiB, of which other programs have 1,000 and CUDA 500."""
    gpu = FakeGpu(10_000, others=1000, context=500).install(monkeypatch)
    monkeypatch.setattr(module, "find_device", lambda _name: FakeProbe.device)
    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: FakeProbe(gpu, per_crop=85))
    return gpu


def profile_of(config, tmp_path, **options):
    return profile_gpu(config, cache_dir=tmp_path, **options)


@pytest.fixture
def config(tmp_path):
    return load_config(None, [NETWORK, f"data.train_dataset={tmp_path / 'none'}"])


@pytest.mark.usefixtures("gpu")
def test_profile_of_a_gpu_reports_free_memory_and_speed(config, tmp_path):
    profile = profile_of(config, tmp_path)
    gpu = profile.found.gpu
    assert profile.device == "fake GPU"
    assert (gpu.total_mib, gpu.limit_mib, gpu.free_mib, gpu.share) == (10_000, 10_000, 8500, 0.9)
    assert gpu.usable_mib == pytest.approx(7650)
    assert (profile.key, profile.chosen, profile.batch_size) == ("training.batch_size", "largest", 88)  # 90 would fit
    assert profile.predicted_peak_mib == pytest.approx(88 * 85)
    assert all(point.utterances_per_second == pytest.approx(100) for point in profile.found.points)
    assert [point.batch for point in profile.found.points] == [2, 4, 8, 16, 32, 64, 80, 88, 96]


@pytest.mark.usefixtures("gpu")
def test_speakers_whose_utterances_are_all_excluded_are_no_classes(tmp_path, caplog):
    write_speakers(tmp_path / "corpus", "abc")
    ids = sorted(path.relative_to(tmp_path / "corpus").as_posix() for path in (tmp_path / "corpus/b").rglob("*.wav"))
    (tmp_path / "x.tsv").write_text("\n".join([*ids, "of/validation.wav"]))
    sets = [NETWORK, f"data.train_dataset={tmp_path / 'corpus'}", f"data.exclude=[{tmp_path / 'x.tsv'}]"]
    profile = profile_of(load_config(None, sets), tmp_path)
    assert ids
    assert (profile.n_speakers, profile.speakers_counted) == (2, True)
    assert "of/validation.wav" not in caplog.text


@pytest.mark.usefixtures("gpu")
def test_peak_of_a_batch_for_a_target_is_that_of_the_next_measured(config, tmp_path):
    profile = profile_of(config, tmp_path, target_batch=100)
    assert (profile.batch_size, profile.accumulation_steps) == (50, 2)
    assert profile.predicted_peak_mib == pytest.approx(64 * 85)


@pytest.mark.usefixtures("gpu")
def test_processes_share_the_target(config, tmp_path):
    many = config.model_copy(update={"hardware": config.hardware.model_copy(update={"devices": 4, "nodes": 2})})
    profile = profile_of(many, tmp_path, target_batch=1024)
    assert (profile.n_processes, profile.batch_size, profile.accumulation_steps) == (8, 64, 2)


def test_limit_holds_for_the_steps_and_is_lifted(gpu, config, tmp_path):
    profile = profile_of(config, tmp_path, limit_mib=6000)
    assert (profile.found.gpu.limit_mib, profile.found.gpu.free_mib) == (6000, 6000 - 512)
    assert profile.batch_size == 56  # 0.9 * 5,488 / 85 = 58.1
    assert gpu.fraction == 1


@pytest.mark.usefixtures("gpu")
def test_fastest_choice_is_reported(config, tmp_path):
    assert profile_of(config, tmp_path, fastest=True).chosen == "fastest"


@pytest.mark.usefixtures("gpu")
def test_configured_target_is_resolved_in_the_written_file(tmp_path):
    sets = ["training.batch_size=auto", "training.target_batch=512", f"data.train_dataset={tmp_path / 'none'}"]
    config = load_config(None, [NETWORK, *sets])
    path = tmp_path / "fitted.yaml"
    with claimed_file(path, force=False) as claim:
        write_config(config, profile_of(config, tmp_path), claim)
    written = load_config(path).training
    assert (written.batch_size, written.accumulation_steps, written.target_batch) == (86, 6, None)
    assert "measured on fake GPU" in path.read_text()


@pytest.mark.usefixtures("gpu")
def test_head_run_gets_a_features_batch_and_keeps_its_own(tmp_path):
    config = load_config(None, [f"data.train_dataset={tmp_path / 'none'}"])
    profile = profile_of(config, tmp_path)
    assert profile.key == "features.batch_size"
    fitted = with_batch(config, profile)
    assert fitted.features.batch_size == 88
    assert fitted.training == config.training


@pytest.mark.usefixtures("gpu")
def test_target_of_a_head_run_is_one_batch_of_vectors(tmp_path):
    config = load_config(None, [f"data.train_dataset={tmp_path / 'none'}", "training.accumulation_steps=2"])
    profile = profile_of(config, tmp_path, target_batch=1000)
    fitted = with_batch(config, profile)
    assert profile.batch_size * profile.accumulation_steps >= 1000
    assert fitted.features.batch_size == profile.batch_size == 84
    assert (fitted.training.batch_size, fitted.training.accumulation_steps) == (1000, 1)


def test_head_run_is_profiled_by_pooling_without_gradients(monkeypatch, tmp_path):
    sets = [
        *TINY_SETTINGS,
        "training.freeze_backbone_epochs=null",
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
