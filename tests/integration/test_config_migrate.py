"""`mrlspk config migrate` through its runner."""

import pytest
import yaml

from mrlspk.config import load_config
from predecessor_file import DROPPED, MEANT, TEXT, old_names


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    return path


def test_report_lists_what_became_of_every_key(run, old, tmp_path):
    new = tmp_path / "new.yaml"
    outcome = run("config", "migrate", old, "-o", new, "--json")
    assert outcome.exit_code == 0
    report = outcome.json
    assert report["written"] == str(new)
    assert {key["old"] for key in report["dropped"]} == DROPPED
    assert {key["old"] for key in report["mapped"]} == set(old_names()) - DROPPED
    assert all(key["reason"] for key in report["dropped"])
    precision = next(key for key in report["mapped"] if key["old"] == "hardware.mixed_precision")
    assert (precision["new"], precision["value"]) == ("hardware.precision", "bf16")
    assert {key["new"]: key["value"] for key in report["added"]} == {
        "training.lr_step_epochs": 30,
        "training.lr_gamma": 0.1,
        "head.start_decay": 0.0,
    }
    assert any("data.noise_snr_range" in warning for warning in report["warnings"])
    assert yaml.safe_load(new.read_text()) == MEANT
    assert load_config(new).model.pretrained.model_name == "b1"


def test_the_tables_name_old_and_new_keys(run, old, tmp_path):
    outcome = run("config", "migrate", old, "-o", tmp_path / "new.yaml")
    assert outcome.exit_code == 0
    rows = [line.split() for line in outcome.stdout.splitlines()]
    assert ["training.num_epochs", "training.num_epochs", "12"] in rows
    assert any(row[:2] == ["hardware.mixed_precision", "hardware.precision"] for row in rows)
    assert any(row[0] == "data.min_duration" for row in rows if row)
    assert "53 keys kept, 28 dropped, 3 added" in outcome.stdout
    assert "warning: data.volume_range: redimnet-mrl ignored it" in outcome.stderr


def test_unpublished_model_is_warned_of(run, old, tmp_path):
    text = TEXT.replace("models/start.pt", "null").replace("name: b1", "name: L")
    old.write_text(text)
    outcome = run("config", "migrate", old, "-o", tmp_path / "new.yaml")
    assert "redimnet-L-vb2+vox2+cnc-ft_mix is not among the published models" in outcome.stderr


def test_existing_file_is_overwritten_only_with_force(run, old, tmp_path):
    new = tmp_path / "new.yaml"
    new.write_text("mine")
    outcome = run("config", "migrate", old, "-o", new)
    assert (outcome.exit_code, new.read_text()) == (1, "mine")
    assert "--force" in outcome.stderr
    assert run("config", "migrate", old, "-o", new, "--force").exit_code == 0
    assert load_config(new).seed == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("training: [", "is not YAML"),
        ("", "has no keys"),
        ("- 1", "expected sections"),
        ("training: {num_epochs: 3, target_batch: null}", "is a configuration of mrlspk already"),
        ("model: {mrl_dims: [32, 64]}", "is a configuration of mrlspk already"),
        (TEXT + "\nextra: 1\nhead: {flatten: 0.1}", "extra: not a key of redimnet-mrl"),
        (TEXT.replace("seed: 7", "seed: often"), "seed (from seed in "),
        (
            'advanced: {use_pretrained: true, model_name: "b2\\nloss: {scale: 1}\\n#"}',
            "model_name (from advanced.model_name in ",
        ),
    ],
)
def test_invalid_file_is_an_error_and_writes_nothing(run, old, tmp_path, content, message):
    old.write_text(content)
    outcome = run("config", "migrate", old, "-o", tmp_path / "new.yaml")
    assert outcome.exit_code == 1
    assert message in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]


def test_an_absent_file_is_an_error(run, tmp_path):
    outcome = run("config", "migrate", tmp_path / "absent.yaml", "-o", tmp_path / "new.yaml")
    assert outcome.exit_code == 1
    assert "cannot be read" in outcome.stderr


def test_migrating_a_migrated_file_is_refused(run, old, tmp_path):
    run("config", "migrate", old, "-o", tmp_path / "new.yaml")
    outcome = run("config", "migrate", tmp_path / "new.yaml", "-o", tmp_path / "newer.yaml")
    assert outcome.exit_code == 1
    assert "is a configuration of mrlspk already" in outcome.stderr
