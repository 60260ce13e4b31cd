"""``mrlspk train``: the files that a run writes, and what it refuses."""

import json

import pytest
import torch
import yaml


def load(path):
    return torch.load(path, weights_only=True)


def test_run_leaves_checkpoints_configuration_trials_and_log(train, tmp_path):
    outcome = train(name="one")
    assert outcome.exit_code == 0, outcome.stderr
    report, run_dir = outcome.json, tmp_path / "checkpoints" / "one"
    assert report["run_dir"] == "checkpoints/one"
    assert report["epochs"] == 3
    assert set(report["best"]) == {"4", "8"}
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "best.card.json", "best.card.md", "best.pt",
        "config.yaml", "corpus.txt.gz", "epoch-001.pt", "epoch-002.pt", "epoch-003.pt", "last.pt",
        "metrics.jsonl", "validation-trials.txt",
    ]  # fmt: skip
    last = load(run_dir / "last.pt")
    assert last["progress"] | {"best_value": 0, "best_epoch": 0} == {
        "epoch": 3, "step": 9, "n_crops": 0, "best_value": 0, "best_epoch": 0, "best_within_limit": True,
        "so_far": {"n_steps": 0, "loss": 0, "class_loss": 0, "margin": 0},
        "n_skipped": 0, "n_skipped_in_a_row": 0, "n_parts": 1, "unreadable": {},
    }  # fmt: skip
    assert last["config"] == yaml.safe_load((run_dir / "config.yaml").read_text())
    assert last["criterion"]["loss.weight"].shape == (2 * 2, 8)  # two speakers at two speeds
    events = [json.loads(line)["event"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert events == ["run", *["step"] * 3, "epoch", *["step"] * 3, "epoch", *["step"] * 3, "epoch"]
    best = load(run_dir / "best.pt")
    assert {str(dim): eer for dim, eer in best["validation"]["eer"].items()} == report["best"]


def test_last_checkpoint_is_written_after_the_best(tmp_path, monkeypatch):
    from mrlspk.training.checkpoints import saving

    written = []
    monkeypatch.setattr(saving, "save_checkpoint", lambda path, _entries: written.append(path.name))
    entries = {"progress": {"epoch": 1}}
    saving.save_epoch(tmp_path, entries, best_name="best.pt", keep=True, keep_last_n=1)
    assert written == ["best.pt", "epoch-001.pt", "last.pt"]


def test_run_that_failed_before_its_first_checkpoint_frees_its_name(train, tmp_path):
    (tmp_path / "checkpoints" / "one").mkdir(parents=True)
    (tmp_path / "checkpoints" / "one" / "metrics.jsonl").write_text("")
    assert train("--resume", "auto", "--set", "training.num_epochs=1", name="one").exit_code == 0


def test_auto_resumes_the_run_that_is_named(train, tmp_path):
    for name in ("first", "second"):
        assert train("--set", "training.num_epochs=1", name=name).exit_code == 0
    outcome = train("--resume", "auto", "--set", "training.num_epochs=1", name="first")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["run_dir"] == "checkpoints/first"
    assert not (tmp_path / "checkpoints" / "third").exists()


def test_projection_only_freezes_all_before_the_linear_layer(train, tmp_path):
    assert train(name="origin").exit_code == 0
    origin = tmp_path / "checkpoints" / "origin" / "last.pt"
    outcome = train(
        "--init-from", origin, "--set", "training.freeze_backbone_epochs=null", "--set", "model.matryoshka_dims=[4,8]",
        name="head",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.stderr
    before, after = load(origin)["model"], load(tmp_path / "checkpoints" / "head" / "last.pt")["model"]
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {"head.linear.weight", "head.linear.bias"}


def test_two_stages_free_the_backbone_at_the_second(train, tmp_path):
    assert train("--set", "training.freeze_backbone_epochs=2", name="two").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "two"
    first, second, third = (load(run_dir / f"epoch-00{epoch}.pt")["model"] for epoch in (1, 2, 3))
    name = "backbone.stage0.2.weight"
    assert torch.equal(first[name], second[name])
    assert not torch.equal(second[name], third[name])


@pytest.mark.process
@pytest.mark.parametrize(
    "sets",
    [
        ["loss.type=SubCenter"],
        ["loss.type=Triplet", "data.utterances_per_speaker=2"],
        ["training.optimizer=SGD", "training.lr_scheduler=step", "training.accumulation_steps=2"],
        ["evaluation.best_by=4", "training.lr_scheduler=exponential", "data.sampler=shuffle"],
        ["evaluation.best_by=loss", "hardware.precision=bf16", "loss.margin_full_epoch=2"],
        ["data.num_workers=2", "data.augmentation=false", "deterministic=true", "model.mrl_weights=[1,0]"],
    ],
)
def test_every_recipe_runs(train, sets):
    outcome = train(*[part for text in sets for part in ("--set", text)], "--set", "training.num_epochs=1")
    torch.use_deterministic_algorithms(False)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["epochs"] == 1


def test_samples_do_not_depend_on_workers(train, tmp_path):
    for workers in (0, 2):
        assert train("--set", f"data.num_workers={workers}", name=f"workers{workers}").exit_code == 0
    alone, together = (load(tmp_path / "checkpoints" / f"workers{n}" / "last.pt")["model"] for n in (0, 2))
    assert all(torch.equal(together[name], value) for name, value in alone.items())


def test_dry_run_writes_nothing(train, tmp_path):
    outcome = train("--dry-run")
    assert outcome.exit_code == 0
    assert (outcome.json["speakers"], outcome.json["classes"]) == (2, 4)
    assert outcome.json["frozen_parameters"] < outcome.json["trained_parameters"]
    assert not (tmp_path / "checkpoints").exists()


def test_debug_batches_end_each_epoch_early(train, tmp_path):
    assert train("--debug-batches", 1, name="short").exit_code == 0
    assert load(tmp_path / "checkpoints" / "short" / "last.pt")["progress"]["step"] == 3


def test_wandb_logs_offline(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    outcome = train("--set", "logging.wandb=true", "--set", "training.num_epochs=1", name="tracked")
    assert outcome.exit_code == 0, outcome.stderr
    assert list((tmp_path / "checkpoints" / "tracked" / "wandb").glob("offline-run-*/*.wandb"))


def test_path_of_init_from_is_taken_as_it_is(train, tmp_path):
    assert train("--set", "training.num_epochs=1", name="origin").exit_code == 0
    odd = tmp_path / "a #1: model.pt"
    odd.write_bytes((tmp_path / "checkpoints" / "origin" / "best.pt").read_bytes())
    outcome = train("--init-from", odd.name, "--dry-run")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["config"]["model"]["pretrained"]["pretrained_checkpoint"] == odd.name


def test_fp16_without_a_gpu_is_refused(train):
    outcome = train("--set", "hardware.precision=fp16", "--device", "cpu")
    assert outcome.exit_code == 1
    assert "fp16 needs a GPU" in outcome.stderr


def test_run_of_the_same_name_is_not_overwritten(train, tmp_path):
    kept = tmp_path / "checkpoints" / "one" / "best.pt"
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    outcome = train(name="one")
    assert (outcome.exit_code, kept.read_text()) == (1, "precious")
    assert "--resume" in outcome.stderr


def test_test_speakers_among_the_trained_are_refused(train, tiny_corpus):
    entry = f"[{{path: {tiny_corpus.trials}, audio_root: {tiny_corpus.root}}}]"
    outcome = train("--set", f"evaluation.trials={entry}")
    assert outcome.exit_code == 3
    assert "expected other speakers than in training" in outcome.stderr


def test_missing_corpus_exits_3_and_writes_nothing(train, tmp_path):
    outcome = train("--set", "data.train_dataset=gone")
    assert outcome.exit_code == 3
    assert "gone" in outcome.stderr
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_training_file_is_named_without_a_traceback(train, tiny_corpus, workers):
    for path in tiny_corpus.root.rglob("*.wav"):
        path.write_text("not audio")
    outcome = train("--set", f"data.num_workers={workers}")
    assert outcome.exit_code == 3
    assert f"error: {tiny_corpus.root}" in outcome.stderr
    assert ".wav: cannot be decoded as .wav audio" in outcome.stderr


def test_misspelt_key_exits_1_and_names_the_nearest(train):
    outcome = train("--set", "training.batchsize=2")
    assert outcome.exit_code == 1
    assert "did you mean training.batch_size?" in outcome.stderr
