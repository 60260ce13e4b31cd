import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest

from mrlspk.data.trials import OfficialMatch, Trials, official_match, official_warning, read_trials
from mrlspk.data.trials.official import official_lists

OLD = "VoxCeleb1-O (old)"


@pytest.fixture(scope="module")
def lines(shared):
    content = gzip.decompress((shared / "reference/vox1-o-trials.txt.gz").read_bytes())
    assert hashlib.md5(content).hexdigest() == next(each.md5 for each in official_lists() if each.name == OLD)
    return content.decode().splitlines()


def read(tmp_path, lines, *, name="list.txt", end="\n"):
    (tmp_path / name).write_text(end.join(lines), newline="")
    return read_trials(tmp_path / name)


def warning_of(trials):
    return official_warning(trials, official_match(trials))


def kaldi(line):
    label, enroll, test = line.split()
    return f"{enroll} {test} {'target' if label == '1' else 'nontarget'}"


@pytest.mark.parametrize(
    "change",
    [
        str,
        kaldi,
        lambda line: line.replace(".wav", ".m4a"),
        lambda line: line.replace(".wav", ""),
        lambda line: line.replace("id1", "/data/vox1/wav/id1"),
        lambda line: line.replace("/", "-").replace(".wav", ""),
    ],
    ids=["as published", "kaldi", "m4a", "no suffix", "absolute", "kaldi's ids"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_official_list_is_recognised_however_it_is_written(tmp_path, lines, change, end):
    trials = read(tmp_path, map(change, lines), end=end)
    assert official_match(trials) == OfficialMatch(OLD, "fingerprint")
    assert warning_of(trials) is None


def test_other_trials_of_the_same_counts_are_said_to_have_the_counts(tmp_path, lines):
    trials = read(tmp_path, [*lines[1:], lines[0]])
    assert official_match(trials) == OfficialMatch(OLD, "counts")
    assert "has the counts of VoxCeleb1-O (old) and other trials" in warning_of(trials)


@pytest.mark.parametrize(
    ("name", "kept", "expected"),
    [
        (
            "veri_test2.txt",
            None,
            "named like VoxCeleb1-O (cleaned), which has 37,611 trials, but holds 37,720, those of VoxC",
        ),
        ("veri_test.txt", -1, "named like VoxCeleb1-O (old), which has 37,720 trials, but holds 37,719"),
        ("vox1_O_cleaned.kaldi", None, "named like VoxCeleb1-O (cleaned)"),
        ("trials.txt", -2, "holds 37,718 trials of VoxCeleb1 and is not VoxCeleb1-O (old), which has 37,720"),
        ("trials.txt", 30_000, None),
        ("veri_test.txt", None, None),
    ],
)
def test_a_list_that_may_be_taken_for_another_is_said_to_be_none(tmp_path, lines, name, kept, expected):
    warning = warning_of(read(tmp_path, lines[:kept], name=name))
    assert warning is None if expected is None else expected in warning


def test_lists_of_other_corpora_are_none(tmp_path):
    trials = read(tmp_path, ["1 a/1.wav a/2.wav", "0 a/1.wav b/1.wav"])
    assert official_match(trials) is None
    assert warning_of(trials) is None


def test_counts_alone_make_no_list_of_voxceleb_of_other_files():
    ids = tuple(f"s/{n}.wav" for n in range(37_611))
    trials = Trials(ids, ids, np.arange(37_611) < 18_802, "list", "0")
    assert official_match(trials) is None
    assert warning_of(trials) is None
    assert warning_of(replace(trials, path="veri_test2.txt")) is not None


def test_the_counts_of_the_official_lists_are_those_published():
    n_trials = {each.name: each.n_target + each.n_nontarget for each in official_lists()}
    assert n_trials == {
        "VoxCeleb1-O (cleaned)": 37_611,
        "VoxCeleb1-O (old)": 37_720,
        "VoxCeleb1-E (cleaned)": 579_818,
        "VoxCeleb1-E (old)": 581_480,
        "VoxCeleb1-H (cleaned)": 550_894,
        "VoxCeleb1-H (old)": 552_536,
    }
