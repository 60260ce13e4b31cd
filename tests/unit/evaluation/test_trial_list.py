from pathlib import Path

import pytest

from mrlspk.config import Config
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig, TrialListConfig
from mrlspk.errors import CheckpointError, DataError, UsageError
from mrlspk.evaluation.trial_list import TrialRequest, choose_trial_lists, read_trial_lists


@pytest.fixture
def write_list(tmp_path):
    """Write a list of ``n`` target and ``n`` non-target trials and, under ``root``, empty files for its audio."""

    def write(name, root, *, n=2, missing=0):
        lines = []
        for number in range(n):
            other = (number + 1) % n
            lines += [f"1 s/{number:02}.wav t/{number:02}.wav", f"0 t/{other:02}.wav s/{number:02}.wav"]
        names = sorted({field for line in lines for field in line.split()[1:]})
        for utterance in names[missing:]:
            path = tmp_path / root / utterance
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        path = tmp_path / name
        path.write_text("\n".join(lines))
        return path

    return write


def test_one_folder_serves_all_lists(write_list, tmp_path):
    paths = [write_list("a.txt", "audio"), write_list("b.txt", "audio")]
    lists = read_trial_lists(paths, [tmp_path / "audio"], source="--trials")
    assert [each.audio_root for each in lists] == [tmp_path / "audio"] * 2
    assert [each.trials.path for each in lists] == [str(path) for path in paths]


def test_as_many_folders_as_lists_pair_in_order(write_list, tmp_path):
    paths = [write_list("a.txt", "first"), write_list("b.txt", "second")]
    lists = read_trial_lists(paths, [tmp_path / "first", tmp_path / "second"], source="--trials")
    assert [each.audio_root.name for each in lists] == ["first", "second"]


def test_other_numbers_of_folders_are_refused(write_list, tmp_path):
    paths = [write_list(f"{name}.txt", "audio") for name in "abc"]
    with pytest.raises(UsageError, match="2 folders of audio for 3 trial lists"):
        read_trial_lists(paths, [tmp_path, tmp_path], source="--trials")


@pytest.mark.parametrize(("missing", "more"), [(3, False), (10, False), (14, True)])
def test_missing_audio_is_counted_and_the_first_ten_are_named(write_list, tmp_path, missing, more):
    path = write_list("a.txt", "audio", n=10, missing=missing)
    with pytest.raises(DataError, match=f": {missing} of 20 utterances") as caught:
        read_trial_lists([path], [tmp_path / "audio"], source="--trials")
    assert caught.value.where == str(path)
    assert caught.value.what.count(".wav") == min(missing, 10)
    assert ("and 4 more" in caught.value.what) == more


def test_another_form_of_unicode_is_named_before_enrolment_models(tmp_path):
    for name in ("\u00e9.wav", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    (tmp_path / "list.txt").write_text("1 e\u0301.wav b.wav\n0 e\u0301.wav c.wav\n")
    with pytest.raises(DataError, match="another form of Unicode: write the list in NFC") as caught:
        read_trial_lists([tmp_path / "list.txt"], [], source="--trials")
    assert "enroll" not in caught.value.fix


def test_a_list_of_one_kind_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 a/1.wav a/2.wav\n")
    with pytest.raises(DataError, match="1 target and 0 non-target"):
        read_trial_lists([path], [tmp_path], source="--trials")


def test_trials_without_audio_are_left_out_on_request_and_counted(write_list, tmp_path):
    path = write_list("a.txt", "audio", n=20, missing=12)  # s/00.wav … s/11.wav
    (found,) = read_trial_lists([path], [tmp_path / "audio"], source="--trials", allow_missing=True)
    assert len(found.trials) == 40 - 24
    assert (found.missing.n_utterances, found.missing.n_trials) == (12, 24)
    assert found.missing.first == tuple(f"s/{number:02}.wav" for number in range(10))
    assert set(found.audio) == set(found.trials.utterance_ids)


def test_nothing_missing_is_said_where_it_was_allowed(write_list, tmp_path):
    path = write_list("a.txt", "audio")
    (found,) = read_trial_lists([path], [tmp_path / "audio"], source="--trials", allow_missing=True)
    assert (found.missing.n_utterances, found.missing.n_trials, found.missing.first) == (0, 0, ())
    (found,) = read_trial_lists([path], [tmp_path / "audio"], source="--trials")
    assert found.missing is None


def test_remaining_trials_must_be_of_both_kinds(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 a/1.wav a/2.wav\n0 a/1.wav b/1.wav\n")
    (tmp_path / "a").mkdir()
    for name in ("1.wav", "2.wav"):
        (tmp_path / "a" / name).touch()
    with pytest.raises(DataError, match="1 target and 0 non-target") as caught:
        read_trial_lists([path], [tmp_path], source="--trials", allow_missing=True)
    assert "without 1 utterances that are missing" in str(caught.value.where)


def test_a_model_that_lacks_one_utterance_is_left_out_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1 m a/2.wav\n0 n a/2.wav\n1 n b/2.wav\n0 n a/1.wav\n")
    (tmp_path / "models").write_text("m a/1.wav a/3.wav\nn b/1.wav b/3.wav\n")
    for name in ("a/1.wav", "a/2.wav", "b/1.wav", "b/2.wav", "b/3.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (found,) = read_trial_lists(
        [path], [tmp_path], source="--trials", enrolments=[tmp_path / "models"], allow_missing=True
    )
    assert found.trials.enroll_ids == ("n", "n", "n")
    assert found.missing.first == ("a/3.wav",)


@pytest.fixture
def audio_root(tmp_path):
    root = tmp_path / "audio"
    for speaker in ("s", "t"):
        (root / speaker / "x").mkdir(parents=True)
        for number in range(3):
            (root / speaker / "x" / f"{number}.wav").touch()
    return root


@pytest.fixture
def write_trials(tmp_path):
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


def test_lists_given_outrank_all_others(audio_root, write_trials):
    config = config_with(audio_root, write_trials("of-config.txt"))
    lists = choose_trial_lists(TrialRequest((write_trials("given.txt"),), (audio_root,)), config=config, carried={})
    assert paths_of(lists) == ["given.txt"]


def test_lists_outrank_folders_of_the_same_configuration(audio_root, write_trials):
    config = config_with(audio_root, write_trials("list.txt"), test_datasets={"x": audio_root})
    assert paths_of(choose_trial_lists(TrialRequest(), config=config, carried={})) == ["list.txt"]


def test_folders_outrank_validation_trials(audio_root, write_trials, tmp_path):
    write_trials("run/validation-trials.txt")
    carried = {tmp_path / "run" / "best.pt": content(config_with(audio_root, test_datasets={"x": audio_root}))}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.trials.path == f"generated from {audio_root}"


def test_validation_trials_take_their_audio_from_the_corpus_of_the_run(audio_root, write_trials, tmp_path):
    write_trials("run/validation-trials.txt")
    carried = {tmp_path / "run" / "best.pt": content(config_with(audio_root))}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.audio_root == audio_root


def test_first_checkpoint_that_leads_to_trials_decides(audio_root, write_trials, tmp_path):
    config = config_with(audio_root, write_trials("list.txt"))
    carried = {tmp_path / "a.pt": None, tmp_path / "b.pt": content(Config()), tmp_path / "c.pt": content(config)}
    (chosen,) = choose_trial_lists(TrialRequest(), config=Config(), carried=carried)
    assert chosen.source == f"evaluation.trials of {tmp_path / 'c.pt'}"


def test_missing_folder_of_a_configuration_is_named_with_a_fix(tmp_path):
    config = config_with(tmp_path, test_datasets={"x": tmp_path / "gone"})
    with pytest.raises(DataError, match="no such folder") as caught:
        choose_trial_lists(TrialRequest(), config=config, carried={})
    assert caught.value.where == tmp_path / "gone"
    assert "evaluation.test_datasets.x" in caught.value.fix
    assert "`trials=FILE`" in caught.value.fix


def test_invalid_configuration_is_an_error_of_the_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="seed"):
        choose_trial_lists(TrialRequest(), config=Config(), carried={tmp_path / "a.pt": {"seed": "x"}})
