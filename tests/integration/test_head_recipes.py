"""``mrlspk train`` of the head: models to start from, classes, widths, teachers."""

import json

import pytest
import torch

from head_runs import linear, load, moved, ran, sets

pytestmark = pytest.mark.slow


def test_new_head_is_trained_first_then_rotated(head, single_width, checkpoints):
    ran(head("head.start=random", "head.rotation=svd", "training.num_epochs=2", name="one"))
    start = load(checkpoints / "one" / "rotation.pt")
    head_alone = {name for name in start["model"] if name.startswith("head.")}
    assert moved(load(single_width)["model"], start["model"]) <= head_alone
    assert "head.norm.running_mean" in moved(load(single_width)["model"], start["model"])
    assert start["baselines"]["own"] == start["baselines"]["rotation"][8]


def test_new_head_on_a_matryoshka_model_is_rotated(head, write_model, tmp_path):
    several = write_model(tmp_path / "several.pt", dims=(4, 8))
    methods = {
        start: ran(head(f"head.start={start}", "training.num_epochs=1", model=several, name=start))["baselines"][
            "rotation_method"
        ]
        for start in ("pretrained", "random")
    }
    assert methods["pretrained"] == "none"
    # Whatever is the best of a new head's rotations was chosen among all of them.
    newest = max((tmp_path / "checkpoints").glob("*/rotation.pt"), key=lambda path: path.stat().st_mtime)
    assert len(load(newest)["rotation"]["choice"]["candidates"]) > 2


@pytest.mark.parametrize("setting", ["head.rotation=svd", "head.start=random"])
def test_prototypes_are_rebuilt_for_a_rotated_or_new_head(head, checkpoints, tmp_path, setting):
    ran(head("training.num_epochs=1", name="first"))
    trained = load(checkpoints / "first" / "trained.pt")
    torch.save({name: entry for name, entry in trained.items() if name != "criterion"}, tmp_path / "without.pt")
    ran(head("training.num_epochs=1", setting, model=tmp_path / "without.pt", name="without"))
    report = ran(head("training.num_epochs=1", setting, model=checkpoints / "first" / "trained.pt", name="with"))
    assert report["transfer"]["class_weights"] == "rebuilt"
    weights = [load(checkpoints / name / "rotation.pt")["criterion"]["loss.weight"] for name in ("with", "without")]
    assert torch.equal(*weights)


def test_random_weights_get_a_head_too(train, checkpoints):
    outcome = train(*sets("training.freeze_backbone_epochs=null", "training.num_epochs=1"), name="one")
    report = ran(outcome)
    assert "transfer" not in report
    assert report["baselines"]["own_dim"] == 8
    assert (checkpoints / "one" / "trained.pt").is_file()


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        (["loss.class_matrix=per_width"], (4, 12)),
        (["loss.type=SubCenter", "loss.num_subcenters=2"], (8, 8)),
        (["loss.type=SubCenter", "loss.num_subcenters=2", "loss.class_matrix=per_width"], (8, 12)),
    ],
)
def test_classes_have_the_matrices_that_are_asked_for(head, checkpoints, settings, shape):
    ran(head(*settings, "training.num_epochs=1", name="one"))
    for name in ("rotation.pt", "last.pt"):
        assert load(checkpoints / "one" / name)["criterion"]["loss.weight"].shape == shape


def test_triplets_need_no_classes(head, checkpoints):
    ran(head("loss.type=Triplet", "data.utterances_per_speaker=2", "training.num_epochs=1", name="one"))
    assert not load(checkpoints / "one" / "last.pt")["criterion"]


def test_another_model_teaches_its_similarities(head, write_model, checkpoints, tmp_path):
    write_model(tmp_path / "teacher.pt", dims=(6,), seed=5)
    distilled = "loss.distillation_weight=20", "training.num_epochs=1", "head.rotation=none"
    ran(head(*distilled, name="own"))
    ran(head(*distilled, "loss.distillation_teacher=teacher.pt", name="other"))
    stores = [json.loads(path.read_text()) for path in (tmp_path / "features").glob("*/key.json")]
    assert sum(key["kind"] == "crops" for key in stores) == 2
    own, other = (linear(checkpoints / name / "last.pt") for name in ("own", "other"))
    assert not torch.equal(own, other)


def test_widths_beyond_the_model_start_at_unused_pooled_directions(head, checkpoints):
    still = "training.num_epochs=1", "head.rotation=svd"
    ran(head(*still, "model.matryoshka_dims=[4,8]", name="own"))
    report = ran(head(*still, "model.matryoshka_dims=[4,8,10]", name="wide"))
    own, wide = (linear(checkpoints / name / "rotation.pt").double() for name in ("own", "wide"))
    assert wide.shape[0] == 10
    assert torch.equal(wide[:8], own)
    further = torch.nn.functional.normalize(wide[8:], dim=1)
    assert torch.allclose(further @ further.T, torch.eye(2).double(), atol=1e-5)
    assert (further @ torch.nn.functional.normalize(own, dim=1).T).abs().max() < 1e-5
    assert set(report["baselines"]["truncation"]) == {"4", "8"}
    assert set(report["baselines"]["rotation"]) == {"4", "8", "10"}


def test_more_widths_than_directions_is_refused(head):
    outcome = head("model.matryoshka_dims=[4,60]", "training.num_epochs=1")
    assert outcome.exit_code == 3
    assert "cannot be widened to 60 values" in " ".join(outcome.stderr.split())


def test_narrower_head_has_the_first_rotated_values(head, checkpoints):
    still = "training.num_epochs=1", "head.rotation=svd"
    ran(head(*still, "model.matryoshka_dims=[4,8]", name="own"))
    report = ran(head(*still, "model.matryoshka_dims=[2,4]", name="narrow"))
    own, narrow = (linear(checkpoints / name / "rotation.pt") for name in ("own", "narrow"))
    assert torch.equal(narrow, own[:4])
    assert (report["baselines"]["own_dim"], set(report["baselines"]["rotation"])) == (8, {"2", "4"})


@pytest.mark.parametrize(("class_start", "warns"), [("random", True), ("means", False)])
def test_class_weights_that_stay_random_are_noticed(head, class_start, warns):
    steps = "data.crops_per_epoch=200", "training.num_epochs=1", "training.learning_rate=1.0e-9", "training.min_lr=0"
    outcome = head(*steps, f"head.class_start={class_start}", "loss.margin=0.5")
    ran(outcome)
    assert ("no better than with random classifier weights" in " ".join(outcome.stderr.split())) == warns


def test_matryoshka_model_is_rotated_only_by_a_named_method(head, write_model, checkpoints, tmp_path):
    several = write_model(tmp_path / "several.pt", dims=(4, 8))
    kept = ran(head("training.num_epochs=1", model=several, name="kept"))
    assert kept["baselines"]["rotation_method"] == "none"
    assert torch.equal(linear(checkpoints / "kept" / "rotation.pt"), linear(several))
    rotated = ran(head("training.num_epochs=1", "head.rotation=class_svd", model=several, name="rotated"))
    assert rotated["baselines"]["rotation_method"] == "class_svd"
    assert not torch.allclose(linear(checkpoints / "rotated" / "rotation.pt"), linear(several), atol=1e-3)


def test_validation_seconds_stores_the_middle_of_each_utterance(head, tmp_path):
    ran(head("data.validation_seconds=0.3", "training.num_epochs=1"))
    keys = [json.loads(path.read_text()) for path in (tmp_path / "features").glob("*/key.json")]
    assert sorted(str(key.get("crop_seconds", "crops")) for key in keys) == ["0.3", "None", "crops"]


def test_transformed_start_is_written_beside_the_rotation(head, checkpoints):
    report = ran(head("head.centre=true", "head.flatten=0.3", "training.num_epochs=1", name="one"))
    rotated = {"centred": False, "flatten": 0.0, "order": None}
    transformed = {"centred": True, "flatten": 0.3, "order": "energy"}
    assert report["transform"] == (rotated if report["verdict"]["kept"] == "rotation" else transformed)
    rotation, start = (load(checkpoints / "one" / name) for name in ("rotation.pt", "start.pt"))
    assert moved(rotation["model"], start["model"]) == {"head.linear.weight", "head.linear.bias"}
    assert {str(dim): eer for dim, eer in rotation["validation"]["eer"].items()} == report["baselines"]["rotation"]


def test_first_stage_starts_at_the_rotation_of_a_published_model(train, single_width, tmp_path, monkeypatch):
    from mrlspk.workflows import train as workflow

    seen, fit = [], workflow.fit

    def spy(run, observers):
        seen.append({name: values.clone() for name, values in run.state.module.encoder.state_dict().items()})
        return fit(run, observers)

    monkeypatch.setattr(workflow, "fit", spy)
    staged = sets("training.freeze_backbone_epochs=1", "training.num_epochs=2", "head.rotation=svd")
    ran(train("--init-from", single_width, *staged, name="two"))
    assert moved(load(single_width)["model"], seen[0]) == {"head.linear.weight", "head.linear.bias"}
    before = load(single_width)["model"]["head.linear.weight"]
    gram, turned_gram = (weight.double().T @ weight.double() for weight in (before, seen[0]["head.linear.weight"]))
    assert torch.allclose(gram, turned_gram, atol=1e-6)
    assert load(tmp_path / "checkpoints" / "two" / "last.pt")["rotation"]["method"] == "svd"


@pytest.mark.parametrize("frozen", ["null", "0"])
def test_rotation_is_selected_on_training_speakers_if_enough(head, many_speakers, checkpoints, frozen):
    settings = f"data.train_dataset={many_speakers.root}", "training.num_epochs=1", "data.n_validation_trials=20"
    report = ran(head(*settings, f"training.freeze_backbone_epochs={frozen}", name="one"))
    choice = load(checkpoints / "one" / "last.pt")["rotation"]["choice"]
    assert (
        choice["n_target"] == 22 * 3
    )  # every pair of the files of each training speaker, of whom two are validated on
    assert len(choice["candidates"]) == 7
    assert report["best_checkpoint"]
