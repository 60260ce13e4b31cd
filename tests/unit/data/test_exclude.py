import logging
from pathlib import Path

import pytest

from mrlspk.config.data import DataConfig
from mrlspk.data.audio.source import as_source
from mrlspk.data.build import build_training_data
from mrlspk.data.exclude import excludes_text, leave_out, read_excludes
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.errors import DataError
from tiny_corpora import write_speakers


def corpus(*ids, root="corpus"):
    utterances = (Utterance(each, each.split("/")[0], "s", as_source(Path(root) / each)) for each in ids)
    return Manifest(Path(root), utterances)


def listed(tmp_path, text, name="excludes.tsv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_written_list_is_read_back_with_its_kinds(tmp_path):
    path = listed(tmp_path, excludes_text({"b/2.wav": ["silent"], "a/1.wav": ["damaged", "duration"]}))
    assert read_excludes([path]) == {"a/1.wav": "damaged,duration", "b/2.wav": "silent"}
    assert path.read_text().splitlines()[1:] == ["a/1.wav\tdamaged,duration", "b/2.wav\tsilent"]


def test_id_that_begins_as_a_comment_is_listed(tmp_path):
    ids = "#1/a.wav", "#/b.wav", "a#/c.wav", "\\/d.wav", "\\#/e.wav"
    path = listed(tmp_path, excludes_text({each: ["silent"] for each in ids}))
    assert {*read_excludes([path])} == {*ids}
    (left,) = leave_out([corpus(*ids, "e/1.wav")], [path])
    assert list(left.utterance_ids) == ["e/1.wav"]


def test_list_by_hand_needs_no_reasons_and_may_have_comments(tmp_path):
    path = listed(tmp_path, "# mine\n\na/1.wav\r\n  b/2.wav  \tnoise of a street\n")
    assert read_excludes([path]) == {"a/1.wav": "", "b/2.wav": "noise of a street"}


@pytest.mark.parametrize(("name", "found"), [("none.tsv", "there is no such file"), (".", "got a folder")])
def test_list_that_is_no_file_is_an_error_that_says_how_to_write_one(tmp_path, name, found):
    with pytest.raises(DataError, match=f"expected a list of utterances to leave out, {found}") as error:
        read_excludes([tmp_path / name])
    assert "--write-excludes" in str(error.value)


def test_listed_utterances_are_left_out_and_the_fingerprint_changes(tmp_path):
    whole = corpus("a/1.wav", "a/2.wav", "b/1.wav")
    (left,) = leave_out([whole], [listed(tmp_path, "a/2.wav\tsilent\n")])
    assert list(left.utterance_ids) == ["a/1.wav", "b/1.wav"]
    assert left.fingerprint != whole.fingerprint
    assert left.fingerprint == corpus("a/1.wav", "b/1.wav").fingerprint


def test_unusable_name_that_is_listed_does_not_stop_a_run(tmp_path):
    write_speakers(tmp_path / "corpus", "abcd")
    (tmp_path / "corpus/a/a b.wav").write_bytes(b"")
    config = DataConfig(train_dataset=tmp_path / "corpus", n_validation_speakers=2)
    with pytest.raises(DataError, match="white space"):
        build_training_data(config, seed=0)
    path = listed(tmp_path, excludes_text({"a/a b.wav": ["name"]}))
    data = build_training_data(config.model_copy(update={"exclude": (path,)}), seed=0)
    assert "a/a b.wav" not in [*data.corpus.utterance_ids, *data.validation.utterance_ids]


def test_stale_ids_are_counted_and_named_in_one_warning(tmp_path, caplog):
    path = listed(tmp_path, "a/1.wav\ngone/1.wav\ngone/2.wav\ngone/3.wav\n")
    leave_out([corpus("a/1.wav", "a/2.wav"), corpus("gone/3.wav", "c/1.wav")], [path])
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warnings == [f"{path}: no corpus has 2 utterances: gone/1.wav, gone/2.wav"]


def test_list_of_one_of_several_joined_corpora_needs_no_label(tmp_path, caplog):
    joined = corpus("vox/a/1.wav", "vox/a/2.wav", "cn/a/1.wav", "other/a/2.wav")
    paths = [listed(tmp_path, "a/1.wav\n"), listed(tmp_path, "vox/a/2.wav\n", "second.tsv")]
    (left,) = leave_out([joined], paths, labels=["vox", "cn"])
    assert list(left.utterance_ids) == ["other/a/2.wav"]
    files = f"{paths[0]}, {paths[1]}"
    expected = f"{files}: several corpora have 1 utterance: a/1.wav; put the name of one in front"
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [expected]


def test_missing_list_and_list_of_everything_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"absent\.tsv"):
        leave_out([corpus("a/1.wav")], [tmp_path / "absent.tsv"])
    with pytest.raises(DataError, match="no utterance is left"):
        leave_out([corpus("a/1.wav")], [listed(tmp_path, "a/1.wav\n")])


def test_training_leaves_out_what_data_exclude_lists(tmp_path):
    root = write_speakers(tmp_path / "train", [f"s{number}" for number in range(6)])
    others = write_speakers(tmp_path / "val", ["v1", "v2", "v3"])
    path = listed(tmp_path, "s1/session/0.wav\tsilent\nv2/session/1.wav\tdamaged\n")
    config = DataConfig(train_dataset=root, val_dataset=others, n_validation_speakers=3, exclude=(path,))
    data = build_training_data(config, seed=0)
    assert set(data.corpus.utterance_ids).isdisjoint({"s1/session/0.wav"})
    assert len(data.corpus.utterances) == 6 * 3 - 1
    assert "v2/session/1.wav" not in data.validation_trials.utterance_ids
    whole = build_training_data(config.model_copy(update={"exclude": ()}), seed=0)
    assert data.train.fingerprint != whole.train.fingerprint
