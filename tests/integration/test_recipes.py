"""``mrlspk train`` in two stages, with rates by layer, with adapters, with an average at the end."""

import json
import sys
from dataclasses import replace

import pytest
import torch

import mrlspk
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.models.checkpoints import encoder_entries
from mrlspk.models.encoder import build_encoder
from mrlspk.training.optimiser import ADAPTER

pytestmark = pytest.mark.slow

ATTENTIVE = ReDimNetConfig(
    F=8,
    C=4,
    block_1d_type="att",
    feat_agg_dropout=0.1,
    stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 1, ((3, 3),), 4)),
)
STATISTICS = "running_mean", "running_var", "num_batches_tracked"


def load(path):
    return torch.load(path, weights_only=True)


def sets(*texts):
    return [part for text in texts for part in ("--set", text)]


LORA = sets("training.freeze_backbone_epochs=null", "training.lora={rank: 2, dropout: 0.1}")


def write_origin(path, dims=(4, 8)):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        architecture = describe_architecture(ATTENTIVE, dims)
        encoder = build_encoder(architecture).train()
        with torch.no_grad():
            encoder(torch.randn(6, 8000))
        torch.save(encoder_entries(encoder, architecture), path)
    return path


@pytest.fixture
def origin(tmp_path):
    """A model with attention, pointwise convolutions and statistics of its own, to start from."""
    return write_origin(tmp_path / "origin.pt")


@pytest.fixture
def checkpoints(tmp_path):
    return tmp_path / "checkpoints"


def moved(before, after):
    """Return the entries of ``after`` that are not those of ``before``, bit for bit."""
    assert before.keys() == after.keys()
    return {name for name, values in after.items() if not torch.equal(values, before[name])}


def same(first, second):
    return first.keys() == second.keys() and not moved(first, second)


def is_statistic(name):
    return name.endswith(STATISTICS)


def test_first_stage_freezes_backbone_and_second_trains_it(train, origin, checkpoints):
    rates = sets(
        "training.freeze_backbone_epochs=2", "training.backbone_lr_multiplier=0.5", "training.layer_lr_decay=0.8"
    )
    outcome = train("--init-from", origin, *rates, name="two")
    assert outcome.exit_code == 0, outcome.stderr
    start = load(origin)["model"]
    second, third = (load(checkpoints / "two" / f"epoch-00{epoch}.pt") for epoch in (2, 3))
    assert {name.split(".")[0] for name in moved(start, second["model"])} == {"head"}
    later = moved(second["model"], third["model"])
    assert {name for name in start if is_statistic(name)} <= later
    assert {"backbone.stem.0.weight", "backbone.stage1.2.weight", "pool.linear1.weight", "head.linear.weight"} <= later
    steps = {int(state["step"]) for state in third["optimiser"]["state"].values()}
    assert steps == {3, 9}  # three steps an epoch: the backbone's one epoch, and all of the head's


def test_resume_in_the_second_stage_matches_uninterrupted_run(run, train, origin, checkpoints):
    options = "--init-from", origin, *sets("training.freeze_backbone_epochs=1", "training.layer_lr_decay=0.8")
    assert train(*options, name="whole").exit_code == 0
    assert_resumes_alike(run, checkpoints, after=2)


def test_kept_statistics_are_those_of_the_model_to_start_from(train, origin, checkpoints):
    kept = sets("training.freeze_norm_statistics=true", "model.pretrained.use_pretrained=true", "model.backbone=null")
    outcome = train("--init-from", origin, *kept, name="kept")
    assert outcome.exit_code == 0, outcome.stderr
    changed = moved(load(origin)["model"], load(checkpoints / "kept" / "last.pt")["model"])
    assert "backbone.stage0.3.conv_block.norm.weight" in changed
    assert not any(map(is_statistic, changed))


@pytest.mark.parametrize("recipe", [[], LORA], ids=["all", "lora"])
def test_rotating_the_head_before_training_keeps_its_statistics(train, checkpoints, tmp_path, recipe):
    origin = write_origin(tmp_path / "one-width.pt", dims=(8,))
    outcome = train("--init-from", origin, *recipe, *sets("training.num_epochs=1", "head.rotation=svd"), name="run")
    assert outcome.exit_code == 0, outcome.stderr
    counts = [
        load(path)["model"]["head.norm.num_batches_tracked"].item() for path in (origin, checkpoints / "run/last.pt")
    ]
    assert counts == [1, 1 + 3]  # the batches of the epoch, and no other


@pytest.mark.parametrize("dims", [(8,), (4, 8)], ids=["published", "matryoshka"])
def test_prototypes_of_a_new_corpus_start_at_class_means(train, checkpoints, tmp_path, tiny_corpus, dims):
    origin = write_origin(tmp_path / "start.pt", dims=dims)
    still = sets("training.learning_rate=1.0e-12", "training.num_epochs=1", "training.freeze_norm_statistics=true")
    held = sets("model.pretrained.use_pretrained=true", "model.backbone=null", "head.rotation=auto")
    outcome = train("--init-from", origin, *still, *held, name="run")
    assert outcome.exit_code == 0, outcome.stderr
    last, encoder = load(checkpoints / "run" / "last.pt"), mrlspk.load(checkpoints / "run" / "last.pt")
    speakers = sorted({name.split("/")[0] for name in tiny_corpus.utterance_ids})
    by_speaker = {
        speaker: sum(encoder.embed(path) for path in sorted((tiny_corpus.root / speaker).rglob("*.wav")))
        for speaker in speakers
    }
    means = torch.stack([torch.nn.functional.normalize(torch.from_numpy(v), dim=0) for v in by_speaker.values()])
    weights = last["criterion"]["loss.weight"]
    assert len(weights) == 4  # two speakers at two speeds
    assert torch.allclose(weights[:2], weights[2:], atol=1e-6)
    cosines = weights[:2] @ means.T
    assert torch.allclose(cosines.amax(1), torch.ones(2), atol=1e-3)
    assert len(set(cosines.argmax(1).tolist())) == 2


def assert_resumes_alike(run, checkpoints, *, after):
    """Stop the run ``whole`` after an epoch, resume it elsewhere, and compare all that a checkpoint holds."""
    whole, again = checkpoints / "whole", checkpoints / "again"
    again.mkdir()
    (again / "last.pt").write_bytes((whole / f"epoch-00{after}.pt").read_bytes())
    (again / "best.pt").write_bytes((whole / "best.pt").read_bytes())
    outcome = run("train", "--resume", again, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    first, second = load(whole / "last.pt"), load(again / "last.pt")
    for part in ("model", "criterion", *({"adapters"} & first.keys())):
        assert same(first[part], second[part]), part
    assert first["optimiser"]["state"].keys() == second["optimiser"]["state"].keys()
    for key, state in first["optimiser"]["state"].items():
        assert same(state, second["optimiser"]["state"][key])
    assert (first["progress"], first["validation"]) == (second["progress"], second["validation"])


def test_resumed_adapter_run_matches_uninterrupted_run(run, train, origin, checkpoints):
    outcome = train("--init-from", origin, *LORA, name="whole")
    assert outcome.exit_code == 0, outcome.stderr
    assert_resumes_alike(run, checkpoints, after=1)


def test_adapters_leave_base_weights_and_are_merged_into_the_model(train, origin, checkpoints):
    outcome = train("--init-from", origin, *LORA, name="lora")
    assert outcome.exit_code == 0, outcome.stderr
    start, last = load(origin)["model"], load(checkpoints / "lora" / "last.pt")
    beneath = {name.replace(".base_layer.", "."): v for name, v in last["adapters"].items() if ".base_layer." in name}
    assert all(torch.equal(values, start[name]) for name, values in beneath.items())
    changed = moved(start, last["model"])
    adapted = {name for name in beneath if name.endswith(".weight")}
    assert changed == adapted | {name for name in start if name.startswith("head.")}
    assert {name for name in last["adapters"] if ADAPTER in name}
    report = json.loads((checkpoints / "lora" / "metrics.jsonl").read_text().splitlines()[0])
    n_trained = sum(values.numel() for name, values in last["adapters"].items() if ADAPTER in name)
    n_trained += sum(v.numel() for name, v in start.items() if name.startswith("head.") and not is_statistic(name))
    assert report["trained_parameters"] == n_trained + last["criterion"]["loss.weight"].numel()


def test_base_and_adapter_convert_to_the_best_checkpoint(run, train, origin, checkpoints, tmp_path, tiny_corpus):
    assert train("--init-from", origin, *LORA, name="lora").exit_code == 0
    best, adapter = checkpoints / "lora" / "best.pt", checkpoints / "lora" / "adapter"
    assert sorted(path.name for path in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    outcome = run("pretrained", "convert", origin, "--adapter", adapter, "-o", "merged.pt", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["dims"] == [4, 8]
    assert same(load(best)["model"], load(tmp_path / "merged.pt")["model"])
    recording = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    first, second = (mrlspk.load(path).embed(recording) for path in (best, tmp_path / "merged.pt"))
    assert (first == second).all()
    source = load(tmp_path / "merged.pt")["converted_from"]
    assert (source["file"], len(source["adapter_sha256"])) == ("origin.pt", 64)


def test_adapter_of_another_base_or_missing_adapter_is_refused(run, train, origin, checkpoints, write_model, tmp_path):
    assert train("--init-from", origin, *LORA, *sets("training.num_epochs=1"), name="lora").exit_code == 0
    adapter, other = checkpoints / "lora" / "adapter", write_model(tmp_path / "other.pt")
    for model, folder, said in ((other, adapter, "another model"), (origin, tmp_path, "the adapter lacks this file")):
        outcome = run("pretrained", "convert", model, "--adapter", folder, "-o", "merged.pt")
        assert outcome.exit_code == 1
        assert said in " ".join(outcome.stderr.split())
    assert not (tmp_path / "merged.pt").exists()


def test_without_peft_adapters_end_with_the_line_to_type(train, origin, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    outcome = train("--init-from", origin, *LORA)
    assert outcome.exit_code == 4
    assert "pip install 'mrlspk[lora]'" in outcome.stderr


def test_average_is_the_mean_of_kept_checkpoints_and_best_if_better(train, checkpoints):
    outcome = train(*sets("training.average_last=2"), name="mean")
    assert outcome.exit_code == 0, outcome.stderr
    folder = checkpoints / "mean"
    averaged = load(folder / "averaged.pt")
    kept = [load(folder / f"epoch-00{epoch}.pt")["model"] for epoch in (2, 3)]
    for name, values in averaged["model"].items():
        if values.is_floating_point():
            assert torch.allclose(values.double(), (kept[0][name].double() + kept[1][name].double()) / 2, atol=1e-6)
        else:
            assert torch.equal(values, kept[1][name])
    assert averaged["averaged_epochs"] == [2, 3]
    assert "optimiser" not in averaged
    figures = {path.name: load(path)["validation"]["mean_log_eer"] for path in folder.glob("*.pt")}
    epochs = min(value for name, value in figures.items() if name.startswith("epoch-"))
    assert figures["best.pt"] == min(epochs, figures["averaged.pt"])
    assert ("averaged_epochs" in load(folder / "best.pt")) == (figures["averaged.pt"] < epochs)
    assert ("averaged_epochs" in outcome.json) == (figures["averaged.pt"] < epochs)


def test_better_average_becomes_best_with_its_own_metrics(train, checkpoints, monkeypatch):
    from mrlspk.training import best_epoch

    monkeypatch.setattr(best_epoch, "note_best", lambda _config, progress, _validation, **_limit: (progress, True))
    outcome = train(*sets("training.average_last=2"), name="mean")
    assert outcome.exit_code == 0, outcome.stderr
    best, averaged = (load(checkpoints / "mean" / name) for name in ("best.pt", "averaged.pt"))
    assert same(best["model"], averaged["model"])
    assert outcome.json["averaged_epochs"] == [2, 3]
    assert outcome.json["best"] == {str(dim): eer for dim, eer in averaged["validation"]["eer"].items()}
    card = json.loads((checkpoints / "mean" / "best.card.json").read_text())
    assert {str(each["dim"]): each["eer"] for each in card["results"]} == outcome.json["best"]


def test_extended_run_has_to_beat_its_average(train, checkpoints, monkeypatch):
    from mrlspk.training import best_epoch

    def unbeatable(_config, progress, _validation, **_limit):
        return replace(progress, best_value=-100.0, best_epoch=progress.epoch), True

    with monkeypatch.context() as patched:
        patched.setattr(best_epoch, "note_best", unbeatable)
        assert train(*sets("training.average_last=2"), name="mean").exit_code == 0
    before = (checkpoints / "mean" / "best.pt").read_bytes()
    longer = *sets("training.average_last=2", "training.num_epochs=4"), "--resume", "auto", "--allow-changes"
    outcome = train(*longer, name="mean")
    assert outcome.exit_code == 0, outcome.stderr
    assert (checkpoints / "mean" / "best.pt").read_bytes() == before
    assert (
        load(checkpoints / "mean" / "last.pt")["progress"] | {"best_value": -100.0, "best_epoch": 3}
        == load(checkpoints / "mean" / "last.pt")["progress"]
    )


def test_head_run_averages_heads_before_its_verdict(train, origin, checkpoints):
    outcome = train(
        "--init-from", origin, *sets("training.freeze_backbone_epochs=null", "training.average_last=2"), name="h"
    )
    assert outcome.exit_code == 0, outcome.stderr
    kept = [load(checkpoints / "h" / f"epoch-00{epoch}.pt")["model"] for epoch in (2, 3)]
    averaged = load(checkpoints / "h" / "averaged.pt")["model"]
    assert {name.split(".")[0] for name in moved(load(origin)["model"], averaged)} == {"head"}
    mean = (kept[0]["head.linear.weight"].double() + kept[1]["head.linear.weight"].double()) / 2
    assert torch.allclose(averaged["head.linear.weight"].double(), mean, atol=1e-7)


def test_prototypes_of_two_speeds_start_a_run_of_one_speed(train, checkpoints):
    assert train(*sets("training.num_epochs=1"), name="fast").exit_code == 0
    first = checkpoints / "fast" / "last.pt"
    margin = sets("data.speed_perturbation=[]", "loss.margin=0.5", "loss.margin_start=0.2", "loss.margin_full_epoch=1")
    outcome = train("--init-from", first, *margin, *sets("training.learning_rate=1.0e-12"), name="margin")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["transfer"]["class_weights"] == "kept"
    assert outcome.json["transfer"]["remark"] == "classifier weights kept: 2 classes, without those of other speeds"
    before, after = (load(path)["criterion"]["loss.weight"] for path in (first, checkpoints / "margin" / "last.pt"))
    assert len(before) == 4
    assert torch.allclose(after, before[:2], atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["training.average_last=4"], "needs 4 kept checkpoints"),
        (["training.average_last=3", "logging.keep_last_n=2"], "logging.keep_last_n is 2"),
        (["training.average_last=1"], "average_last must be 0 or at least 2"),
        (["training.lora={}"], "lora needs freeze_backbone_epochs null"),
        (
            ["training.lora={}", "training.freeze_backbone_epochs=null", "training.average_last=2"],
            "average_last and lora exclude each other",
        ),
        (["training.freeze_norm_statistics=true"], "needs a pretrained model"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(train, texts, said):
    outcome = train(*sets(*texts))
    assert outcome.exit_code == 1
    assert said in " ".join(outcome.stderr.split())
