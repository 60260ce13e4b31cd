"""A run on several corpora whose speakers have the same names."""

import json
import re

import pytest
import torch
import yaml

from factories import tiny_run, write_voices

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A run on a tree and on a folder of files whose names tell the speakers, both with four speakers."""
    monkeypatch.chdir(tmp_path)
    write_voices(tmp_path / "calls")
    for path in sorted(write_voices(tmp_path / "tree", seed=1).rglob("*.wav")):
        name = "_".join(path.relative_to(tmp_path / "tree").parts)
        (tmp_path / "flat").mkdir(exist_ok=True)
        path.rename(tmp_path / "flat" / name)
    entries = [{"path": "calls"}, {"path": "flat", "corpus": "{speaker}_{session}_*", "weight": 2}]
    changes = {"train_dataset": entries, "n_validation_speakers": 4}
    (tmp_path / "joined.yaml").write_text(yaml.safe_dump(tiny_run("unused", data=changes)))
    return tmp_path / "joined.yaml"


def test_run_on_two_corpora_is_trained_resumed_and_scored_by_its_ids(run, config):
    train = "train", "--config", config, "--set", "logging.run_name=joined", "--json"
    outcome = run(*train)
    assert outcome.exit_code == 0, outcome.stderr
    lines = (config.parent / "checkpoints/joined/validation-trials.txt").read_text().splitlines()
    names = {line.split()[1].partition("/")[0] for line in lines}
    assert names == {"calls", "flat"}
    for line in (config.parent / "checkpoints/joined/metrics.jsonl").read_text().splitlines():
        if (entry := json.loads(line))["event"] == "epoch":
            by_corpus = entry["validation"]["eer_by_domain"]
            assert by_corpus.keys() == {"calls", "flat"}
            assert all(0 <= eer <= 1 for eers in by_corpus.values() for eer in eers.values())
    assert re.search(r"^  calls +[\d.]+ +[\d.]+$", outcome.stderr, re.MULTILINE)
    scored = run("eval", outcome.json["best_checkpoint"], "--json")
    assert scored.exit_code == 0, scored.stderr
    assert scored.json["trials"][0]["audio_root"] == "calls + flat"
    assert scored.json["trials"][0]["n_speakers"] == 4
    kept = torch.load(outcome.json["last_checkpoint"], weights_only=True)["config"]["data"]["train_dataset"]
    assert [entry["path"] for entry in kept] == ["calls", "flat"]
    assert run(*train, "--resume", "auto").exit_code == 0
    other = run(*train, "--resume", "auto", "--set", "data.train_dataset=[calls, flat]")
    assert other.exit_code == 1
    assert "the configuration changed: data.train_dataset was" in other.stderr
