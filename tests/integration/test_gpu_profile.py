"""`mrlspk gpu-profile` on a machine without a GPU."""

import json

import pytest
import torch

from factories import TINY_BACKBONE
from mrlspk.cli.gpu_profile import parse_memory
from mrlspk.config import load_config
from mrlspk.errors import UsageError

CONFIG = f"""
model:
  pretrained: {{use_pretrained: false}}
  backbone: {json.dumps(TINY_BACKBONE)}
  matryoshka_dims: [4, 8]
training: {{freeze_backbone_epochs: 0, batch_size: 3}}
data: {{train_dataset: no-corpus, chunk_duration: 1.0}}
hardware: {{device: cpu}}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def test_prediction_has_the_documented_keys(run, config):
    outcome = run("gpu-profile", "--config", config, "--vram-limit", "2GiB", "--json")
    assert outcome.exit_code == 0
    report = outcome.json
    assert (report["device"], report["prediction"], report["total_mib"]) == (None, True, 2048)
    assert [point["batch"] for point in report["measured"]] == [2, 4]
    assert 0 < report["measured"][0]["peak_mib"] < report["measured"][1]["peak_mib"]
    assert report["batch_size"] % 8 == 0
    assert report["accumulation_steps"] == 1
    assert (report["share"], report["free_mib"]) == (0.9, 2048 - 512)
    assert report["predicted_peak_mib"] <= report["usable_mib"] == pytest.approx(0.9 * (2048 - 512))
    assert (report["key"], report["chosen"], report["n_processes"]) == ("training.batch_size", "largest", 1)
    assert not any("utterances_per_second" in point for point in report["measured"])  # unknown: absent
    assert (report["n_speakers"], report["speakers_counted"]) == (5994, False)


def test_table_says_that_it_is_a_prediction(run, config):
    outcome = run("gpu-profile", "--config", config, "--vram-limit", "2GiB")
    assert outcome.stdout.startswith("Predicted for 2048 MiB")
    assert "5994 (assumed" in outcome.stdout
    assert "free: 1536 MiB, usable (90%): 1382 MiB" in outcome.stdout
    assert "utterances/s" not in outcome.stdout


def test_classes_are_those_of_the_corpus_without_its_excluded_utterances(run, config, tmp_path, tiny_corpus):
    excluded = tmp_path / "excludes.tsv"
    excluded.write_text("\n".join(each for each in tiny_corpus.utterance_ids if each.startswith("speaker0/")))
    data = f"train_dataset={tiny_corpus.root}", "speed_perturbation=[0.9, 1.1]", f"exclude=[{excluded}]"
    sets = [each for key in data for each in ("--set", f"data.{key}")]
    report = run("gpu-profile", "--config", config, "--vram-limit", "2GiB", "--json", *sets).json
    assert (report["n_speakers"], report["speakers_counted"]) == ((4 - 1) * 3, True)


def test_more_memory_gives_no_smaller_batch(run, config):
    limits = "640MiB", "1GiB", "4GiB", "80GiB"
    batches = [
        run("gpu-profile", "--config", config, "--vram-limit", limit, "--json").json["batch_size"] for limit in limits
    ]
    assert batches == sorted(batches)
    assert batches[0] < batches[-1]


def test_target_batch_is_reached_by_accumulation(run, config):
    arguments = "gpu-profile", "--config", config, "--vram-limit", "2GiB", "--json"
    largest = run(*arguments).json["batch_size"]
    report = run(*arguments, "--target-batch", 4 * largest).json
    assert (report["batch_size"], report["accumulation_steps"]) == (largest, 4)


def test_written_configuration_is_the_given_one_with_the_batch(run, config, tmp_path):
    target = tmp_path / "fitted.yaml"
    report = run(
        "gpu-profile", "--config", config, "--vram-limit", "2GiB", "--target-batch", 4096, "--write", target, "--json"
    ).json
    given, written = load_config(config), load_config(target)
    assert written.training.batch_size == report["batch_size"]
    assert written.training.accumulation_steps == report["accumulation_steps"] > 1
    keys = {"batch_size": 3, "accumulation_steps": 1}
    assert written.model_copy(update={"training": written.training.model_copy(update=keys)}) == given
    assert "a prediction, not measured on a GPU" in target.read_text()


def test_profile_takes_several_configuration_files(run, config, tmp_path):
    overlay, target = tmp_path / "overlay.yaml", tmp_path / "fitted.yaml"
    overlay.write_text("training: {learning_rate: 0.5}\n")
    run("gpu-profile", "--config", config, "--config", overlay, "--vram-limit", "2GiB", "--write", target)
    written = load_config(target)
    assert (written.training.learning_rate, written.model.matryoshka_dims) == (0.5, (4, 8))


def test_device_flag_is_not_written(run, tmp_path):
    path, target = tmp_path / "config.yaml", tmp_path / "fitted.yaml"
    path.write_text(CONFIG.replace("device: cpu", "device: auto"))
    outcome = run("gpu-profile", "--config", path, "--vram-limit", "2GiB", "--device", "cpu", "--write", target)
    assert outcome.exit_code == 0
    assert load_config(target).hardware.device == "auto"


def test_existing_file_is_overwritten_only_with_force(run, config, tmp_path):
    target = tmp_path / "fitted.yaml"
    target.write_text("seed: 1\n")
    arguments = "gpu-profile", "--config", config, "--vram-limit", "2GiB", "--write", target
    outcome = run(*arguments)
    assert (outcome.exit_code, target.read_text()) == (1, "seed: 1\n")
    assert "--force" in outcome.stderr
    assert run(*arguments, "--force").exit_code == 0
    assert load_config(target).seed == 42


def test_without_a_gpu_a_limit_is_needed(run, config):
    outcome = run("gpu-profile", "--config", config)
    assert outcome.exit_code == 2
    assert "Give --vram-limit, for example 12GiB." in outcome.stderr


def test_model_that_does_not_fit_fails_with_a_fix(run, config, tmp_path):
    target = tmp_path / "fitted.yaml"
    outcome = run("gpu-profile", "--config", config, "--vram-limit", "513MiB", "--write", target)
    assert outcome.exit_code == 1
    assert "not even a batch of 2 fits" in outcome.stderr
    assert "hardware.precision=bf16" in outcome.stderr
    assert not target.exists()


def test_model_that_cannot_be_fetched_ends_with_4(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    assert run("gpu-profile", "--vram-limit", "12GiB", "--device", "cpu").exit_code == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_gpu_ends_with_4(run, config):
    assert run("gpu-profile", "--config", config, "--device", "cuda").exit_code == 4


def test_pretrained_checkpoint_is_probed_with_its_backbone(run, tmp_path, write_model):
    model = write_model(tmp_path / "model.pt")
    sets = [
        f"model.pretrained.pretrained_checkpoint={model}",
        "model.matryoshka_dims=[4, 8]",
        "hardware.device=cpu",
        f"data.train_dataset={tmp_path / 'no-corpus'}",
    ]
    flags = [flag for key in sets for flag in ("--set", key)]
    assert run("gpu-profile", *flags, "--vram-limit", "8GiB", "--json").json["batch_size"] == 1024


@pytest.mark.parametrize(
    ("text", "mib"), [("12GiB", 12288), ("800MiB", 800), ("16GB", 15258.789), ("1.5 gib", 1536), (None, None)]
)
def test_parse_memory_reads_units(text, mib):
    assert parse_memory(text) == (None if mib is None else pytest.approx(mib))


@pytest.mark.parametrize("text", ["12", "12G", "GiB", "-1GiB", "0GiB", ""])
def test_size_without_a_known_unit_is_a_usage_error(text):
    with pytest.raises(UsageError, match="12GiB"):
        parse_memory(text)


@pytest.fixture
def head_run(tmp_path, write_model):
    """Flags of a run that trains the head of a small model."""
    sets = [
        f"model.pretrained.pretrained_checkpoint={write_model(tmp_path / 'model.pt')}",
        "model.matryoshka_dims=[4, 8]",
        "hardware.device=cpu",
        f"data.train_dataset={tmp_path / 'no-corpus'}",
    ]
    return [flag for key in sets for flag in ("--set", key)]


def test_batch_of_a_head_run_is_the_features_batch(run, tmp_path, head_run):
    target = tmp_path / "fitted.yaml"
    outcome = run("gpu-profile", *head_run, "--vram-limit", "8GiB", "--write", target)
    assert outcome.exit_code == 0
    assert "features.batch_size: 1024" in outcome.stdout
    assert "training.batch_size" not in outcome.stdout
    fitted = load_config(target)
    assert (fitted.features.batch_size, fitted.training.batch_size) == (1024, load_config(None).training.batch_size)


def test_json_names_the_key_of_the_batch(run, head_run):
    report = run("gpu-profile", *head_run, "--vram-limit", "8GiB", "--json").json
    assert (report["key"], report["batch_size"], report["accumulation_steps"]) == ("features.batch_size", 1024, 1)


def test_auto_batch_is_resolved_in_the_written_file(run, config, tmp_path):
    target = tmp_path / "fitted.yaml"
    sets = "training.batch_size=auto", "training.target_batch=4096"
    flags = [flag for key in sets for flag in ("--set", key)]
    report = run("gpu-profile", "--config", config, *flags, "--vram-limit", "2GiB", "--write", target, "--json").json
    written = load_config(target).training
    assert (written.batch_size, written.accumulation_steps) == (report["batch_size"], report["accumulation_steps"])
    assert report["batch_size"] * report["accumulation_steps"] >= 4096 == report["target_batch"]
    assert written.target_batch is None


def test_fastest_batch_cannot_be_predicted(run, config):
    outcome = run("gpu-profile", "--config", config, "--vram-limit", "2GiB", "--fastest")
    assert outcome.exit_code == 2
    assert "--fastest" in outcome.stderr


def test_stand_in_is_profiled_and_the_model_is_written(run, tmp_path, write_model):
    target = tmp_path / "fitted.yaml"
    sets = "model.matryoshka_dims=[4, 8]", "training.freeze_backbone_epochs=0", "hardware.device=cpu"
    flags = [flag for key in sets for flag in ("--set", key)]
    stand_in = write_model(tmp_path / "stand-in.pt")
    outcome = run("gpu-profile", *flags, "--vram-limit", "2GiB", "--stand-in", stand_in, "--write", target)
    assert outcome.exit_code == 0
    pretrained = load_config(target).model.pretrained
    assert (pretrained.published_name, pretrained.pretrained_checkpoint) == ("redimnet-b2-vox2-ft_lm", None)
    assert "stand-in" not in target.read_text()


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_auto_without_a_gpu_ends_with_1_and_names_gpu_profile(run, config, tiny_corpus, flags):
    sets = "training.batch_size=auto", f"data.train_dataset={tiny_corpus.root}"
    outcome = run("train", "--config", config, *(flag for key in sets for flag in ("--set", key)), *flags)
    assert outcome.exit_code == 1
    assert "gpu-profile --vram-limit" in outcome.stderr


def test_auto_of_a_head_run_needs_no_gpu(head, checkpoints):
    assert head("training.batch_size=auto", flags=("--dry-run",), name="auto").exit_code == 0
    assert head("training.batch_size=auto", "training.num_epochs=1", name="auto").exit_code == 0
    batch = load_config(checkpoints / "auto" / "config.yaml").training.batch_size
    assert 2 <= batch <= 512
