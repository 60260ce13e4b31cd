import pytest

from mrlspk.config.key_hints import is_of_predecessor, key_hint


@pytest.mark.parametrize(
    ("unknown", "hint"),
    [
        ("training.optimiser", "; did you mean training.optimizer?"),
        ("data.train", "; did you mean data.train_dataset?"),
        ("data.traindataset", "; did you mean data.train_dataset?"),
        ("evaluation.test_dataset", "; did you mean evaluation.test_datasets?"),
        ("test_dataset", "; did you mean evaluation.test_datasets?"),
        ("lr", "; did you mean training.learning_rate?"),
        ("model.F", ", of redimnet-mrl: now model.backbone.F"),
        ("hardware.mixed_precision", "; did you mean hardware.precision?"),
        ("evaluation.num_val_pairs_per_dataset", ", of redimnet-mrl: now evaluation.n_generated_trials"),
        ("advanced.model_name", ", of redimnet-mrl: now model.pretrained.model_name"),
        ("data.train_path", "; did you mean data.train_dataset?"),
        ("training.num_worker", "; did you mean data.num_workers?"),
        ("quux", ""),
        ("model.dim", ""),
    ],
)
def test_unknown_key_gets_the_key_that_was_meant(unknown, hint):
    assert key_hint(tuple(unknown.split("."))) == hint


@pytest.mark.parametrize(
    ("unknown", "misleading"),
    [
        ("data.test_dataset", "train_dataset"),
        ("data.min_duration", "chunk_duration"),
        ("hardware.rank", "lora"),
        ("training.dropout", "lora"),
        ("evaluation.metrics", "trials"),
    ],
)
def test_dropped_key_of_redimnet_mrl_is_explained_without_a_guess(unknown, misleading):
    hint = key_hint(tuple(unknown.split(".")))
    assert hint.startswith(", of redimnet-mrl. ")
    assert misleading not in hint


def test_dropped_test_folder_names_the_key_of_test_folders():
    assert "evaluation.test_datasets" in key_hint(("data", "test_dataset"))


@pytest.mark.parametrize(
    ("unknown", "is_old"),
    [
        (["advanced"], True),
        (["model.F", "data.min_duration", "hardware.rank"], True),
        (["model.F", "data.min_duration"], False),
        (["model.G", "data.mean_duration", "hardware.rink"], False),
    ],
)
def test_file_of_redimnet_mrl_is_known_by_its_keys(unknown, is_old):
    assert is_of_predecessor([tuple(key.split(".")) for key in unknown]) is is_old
