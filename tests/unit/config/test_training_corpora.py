import pytest
import yaml

from mrlspk.config.root import Config
from mrlspk.config.sources import dump_config, load_config
from mrlspk.errors import ConfigError

LIST = "[{path: a, corpus: cn-celeb, weight: 2}, b]"


def corpora(config):
    return [(str(each.path), each.corpus, each.weight) for each in config.data.training_corpora]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speech", [("speech", "auto", 1)]),
        (LIST, [("a", "cn-celeb", 2), ("b", "auto", 1)]),
        ("{path: a, weight: 0.5}", [("a", "auto", 0.5)]),
    ],
)
def test_training_corpora_are_a_path_or_a_list_from_every_source(tmp_path, text, expected):
    (tmp_path / "run.yaml").write_text(f"data: {{train_dataset: {text}}}")
    configs = [
        load_config(overrides=[f"data.train_dataset={text}"]),
        load_config(environment={"MRLSPK_DATA__TRAIN_DATASET": text}),
        load_config(tmp_path / "run.yaml"),
    ]
    for config in configs:
        assert corpora(config) == expected
        assert config.data.val_dataset is None  # as with any corpus of one's own
        assert Config.model_validate(yaml.safe_load(dump_config(config))) == config
    later = load_config(tmp_path / "run.yaml", ["data.train_dataset=other"])
    assert corpora(later) == [("other", "auto", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{pth: a}]", "data.train_dataset.0.pth (`set`): unknown key"),
        ("[{path: a, weight: 0}]", "data.train_dataset.0.weight (`set`): expected a number above 0, got 0"),
        ("[]", "data.train_dataset (`set`): expected a list of 1 or more"),
        ("3", "data.train_dataset (`set`): expected a path, got 3"),
    ],
)
def test_malformed_list_of_corpora_is_an_error_with_its_place(text, message):
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"data.train_dataset={text}"])
    assert message in str(caught.value)
