from pathlib import Path

import pytest

from mrlspk.config import Config
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig, TrialListConfig
from mrlspk.errors import CheckpointError, DataError
from mrlspk.evaluation.sources import TrialRequest, choose_trial_lists


@pytest.fixture
def audio_root(tmp_path):
    root = tmp_path / "audio"
    for speaker in ("s", "t"):
        (root / speaker / "x").mkdir(parents=True)
        for number in range(3):
            (root / speaker / "x" / f"{number}.wav").touch()
    return root


@pytest.fixture
def write_list(tmp_path):
    def write(name):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("1 s/x/0.wav s/x/1.wav\n0 s/x/0.wav t/x/0.wav\n")
        return path

    return write


def config_with(audio_root, *lists, **settings):
    entries = tuple(TrialListConfig(path=path, audio_root=audio_root) for path in lists)
    data = DataConfig(train_dataset=audio_root, val_dataset=None)
    return Config(evaluation=EvaluationConfig(trials=entries, **settings), data=data)


def content(config):
    return config.model_dump(mode="json")


def paths_of(lists):
    return [Path(each.trials.path).name for each in lists]


def test_lists_given_outrank_all_others(audio_root, write_list):
    config = config_with(audio_root, write_list("of-config.txt"))
    lists = choose_trial_lists(TrialRequest((write_list("given.txt"),), (audio_root,)), config=config, carried={})
    assert paths_of(lists) == ["given.txt"]


def test_lists_outrank_folders_of_the_same_configuration(audio_root, write_list):
    config = config_with(audio_root, write_list("list.txt"), test_datasets={"x": audio_root})
    assert paths_of(choose_trial_lists(TrialRequest(), config=config, carried={})) == ["list.txt"]


def test_folders_outrank_validation_trials(audio_root, write_list, tmp_path):
    write_list("run/validation-trials.txt")
    carried = {tmp_path / "run" / "best.pt": content(config_with(audio_root, test_datasets={"x": audio_root}))}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.trials.path == f"generated from {audio_root}"


def test_validation_trials_take_their_audio_from_the_corpus_of_the_run(audio_root, write_list, tmp_path):
    write_list("run/validation-trials.txt")
    carried = {tmp_path / "run" / "best.pt": content(config_with(audio_root))}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.audio_root == audio_root


def test_first_checkpoint_that_leads_to_trials_decides(audio_root, write_list, tmp_path):
    config = config_with(audio_root, write_list("list.txt"))
    carried = {tmp_path / "a.pt": None, tmp_path / "b.pt": content(Config()), tmp_path / "c.pt": content(config)}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.source == f"evaluation.trials of {tmp_path / 'c.pt'}"


def test_absent_folder_of_a_configuration_is_named_with_the_remedy(tmp_path):
    config = config_with(tmp_path, test_datasets={"x": tmp_path / "gone"})
    with pytest.raises(DataError, match="no such folder") as caught:
        choose_trial_lists(TrialRequest(), config=config, carried={})
    assert caught.value.where == tmp_path / "gone"
    assert "evaluation.test_datasets.x" in caught.value.fix
    assert "--trials" in caught.value.fix


def test_configuration_that_cannot_be_used_is_an_error_of_the_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="seed"):
        choose_trial_lists(TrialRequest(), config=Config(), carried={tmp_path / "a.pt": {"seed": "x"}})
