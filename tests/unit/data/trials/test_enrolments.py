import pytest

from mrlspk.data.trials import read_trials, write_trials
from mrlspk.errors import DataError

TRIALS = "m1 t1.wav target\nm1 t2.wav nontarget\nm2 t1.wav nontarget\nlone.wav t1.wav nontarget\n"
MODELS = {"m1": ("a.wav", "b.wav"), "m2": ("c.wav",)}


def read(tmp_path, models, name="models"):
    (tmp_path / "trials").write_text(TRIALS)
    (tmp_path / name).write_text(models)
    return read_trials(tmp_path / "trials", tmp_path / name)


@pytest.mark.parametrize(
    "models",
    [
        "m1 a.wav b.wav\nm2 c.wav\n",
        "m1\ta.wav  b.wav\r\n\r\nm2\tc.wav\r\n",
        "m1 a.wav\nm2 c.wav\nm1 b.wav\n",
        "m1,a.wav,b.wav\nm2,c.wav\n",
        "modelid\tsegmentid\tside\nm1\ta.wav\ta\nm1\tb.wav\ta\nm2\tc.wav\ta\n",
        "model,utterances\nm1,a.wav b.wav\nm2,c.wav\n",
        '{"model": "m1", "utterances": ["a.wav", "b.wav"]}\n{"model": "m2", "utterance": "c.wav"}\n',
        "m1 a.wav b.wav\nm2 c.wav\nm3 of-another-list.wav\n",
    ],
    ids=["spk2utt", "tabs", "a pair a line", "commas", "table", "table of lists", "json", "more models"],
)
def test_models_are_read_in_every_form(tmp_path, models):
    trials = read(tmp_path, models)
    assert trials.enrolments == MODELS
    assert trials.utterance_ids == ("a.wav", "b.wav", "c.wav", "lone.wav", "t1.wav", "t2.wav")
    assert len(trials.enrolments_sha256) == 64


def test_without_models_an_enrolment_is_an_utterance(tmp_path):
    (tmp_path / "trials").write_text(TRIALS)
    trials = read_trials(tmp_path / "trials")
    assert trials.enroll_utterances("m1") == ("m1",)
    assert trials.enrolments_sha256 is None


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("", "empty file"),
        ("m1\nm2 c.wav\n", r"models:1: expected '<model> <utterance> …', got 'm1'"),
        ("m1 a.wav a.wav\n", "models:1: expected each utterance of m1 once"),
        ("m1 a.wav\nm1 a.wav\n", "models:2: expected each utterance of m1 once"),
        ('{"model": "m1"}\n', "models:1: expected"),
        ("other a.wav\n", r"none of its 1 models is enrolled in .*trials: lone.wav in the list, other in the models"),
    ],
)
def test_models_that_cannot_be_used_are_refused(tmp_path, models, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, models)


def test_a_list_with_models_is_not_written_without_them(tmp_path):
    with pytest.raises(DataError, match="cannot hold enrolment models"):
        write_trials(read(tmp_path, "m1 a.wav b.wav\n"), tmp_path / "written.txt")
