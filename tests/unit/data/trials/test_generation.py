import hashlib
import re
from itertools import combinations

import numpy as np
import pytest

from mrlspk.data.manifest import Manifest, Utterance, session_of, speaker_of
from mrlspk.data.trials import generate_trials, read_trials, write_trials
from mrlspk.errors import DataError


def corpus(tmp_path, sizes, n_sessions=1):
    ids = [f"s{s}/{n % n_sessions}/{n:03}.wav" for s, size in enumerate(sizes) for n in range(size)]
    return Manifest(tmp_path, tuple(Utterance(i, speaker_of(i), tmp_path / i) for i in sorted(ids)))


def draw(manifest, n_trials, seed=0):
    return generate_trials(manifest, n_trials, seed=seed, path="generated from here")


def test_reads_voxceleb_lists(tmp_path):
    content = b"1 a/1.wav a/2.wav\n\n0 a/1.wav  b/1.wav \r\n0 a/1.wav b/1.wav"
    (tmp_path / "trials.txt").write_bytes(content)
    trials = read_trials(tmp_path / "trials.txt")
    assert trials.enroll_ids == ("a/1.wav",) * 3
    assert trials.test_ids == ("a/2.wav", "b/1.wav", "b/1.wav")
    assert trials.is_target.tolist() == [True, False, False]
    assert (trials.n_target, trials.n_nontarget, len(trials)) == (1, 2, 3)
    assert trials.utterance_ids == ("a/1.wav", "a/2.wav", "b/1.wav")
    assert trials.path == str(tmp_path / "trials.txt")
    assert trials.sha256 == hashlib.sha256(content).hexdigest()


def test_reads_the_shared_lists(shared):
    trials = read_trials(shared / "speech/trials-english.txt")
    assert (trials.n_target, trials.n_nontarget) == (225, 1000)


def test_a_mark_of_byte_order_is_no_part_of_the_first_line(tmp_path):
    content = b"\xef\xbb\xbf1 a/1.wav a/2.wav\n"
    (tmp_path / "trials.txt").write_bytes(content)
    trials = read_trials(tmp_path / "trials.txt")
    assert (trials.enroll_ids, trials.is_target.tolist()) == (("a/1.wav",), [True])
    assert trials.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["s1/a b.wav", "s1/a\u3000b.wav", "s1/a\tb.wav", "s1/a.wav "])
def test_no_list_is_made_that_could_not_be_read(tmp_path, name):
    ids = [name, "s1/2.wav", "s2/1.wav"]
    manifest = Manifest(tmp_path, tuple(Utterance(i, speaker_of(i), tmp_path / i) for i in ids))
    with pytest.raises(DataError, match="white space") as caught:
        draw(manifest, 10)
    assert caught.value.where == name
    assert caught.value.fix


@pytest.mark.parametrize("line", ["yes a c", "1 a", "1 a b c", "2 a b"])
def test_bad_line_is_named_by_number_with_what_was_expected(tmp_path, line):
    path = tmp_path / "trials.txt"
    path.write_text("1 a b\n" * 16 + line + "\n")
    with pytest.raises(DataError) as caught:
        read_trials(path)
    assert str(caught.value).startswith(f"{path}:17: expected '<0|1> <enroll> <test>', got '{line}'\n")


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe\x00\x01"])
def test_list_that_cannot_be_read_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "trials.txt").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "trials.txt"))):
        read_trials(tmp_path / "trials.txt")


def test_written_trials_read_back(tmp_path):
    trials = draw(corpus(tmp_path, [4, 4]), 10)
    write_trials(trials, tmp_path / "new" / "trials.txt")
    again = read_trials(tmp_path / "new" / "trials.txt")
    assert (again.enroll_ids, again.test_ids, again.sha256) == (trials.enroll_ids, trials.test_ids, trials.sha256)
    np.testing.assert_array_equal(again.is_target, trials.is_target)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["trials.txt"]


@pytest.mark.parametrize("sizes", [[10] * 6, [3, 40, 1, 7], [200, 2, 2]])
def test_drawn_trials_are_balanced_and_true_and_do_not_repeat(tmp_path, sizes):
    trials = draw(corpus(tmp_path, sizes), 40)
    pairs = list(zip(trials.enroll_ids, trials.test_ids, strict=True))
    assert (trials.n_target, trials.n_nontarget) == (20, 20)
    assert len({frozenset(pair) for pair in pairs}) == 40
    assert all(a != b for a, b in pairs)
    assert [speaker_of(a) == speaker_of(b) for a, b in pairs] == trials.is_target.tolist()


def test_the_draw_is_a_function_of_the_seed(tmp_path):
    manifest = corpus(tmp_path, [10] * 6)
    assert draw(manifest, 40).sha256 == draw(manifest, 40).sha256
    assert draw(manifest, 40).sha256 != draw(manifest, 40, seed=1).sha256


def test_target_trials_cross_sessions_where_a_speaker_has_several(tmp_path):
    trials = draw(corpus(tmp_path, [9, 9, 9], n_sessions=3), 60)
    pairs = zip(trials.enroll_ids, trials.test_ids, strict=True)
    assert all(session_of(a) != session_of(b) for a, b in pairs)


def test_a_small_corpus_gives_all_trials_that_it_has(tmp_path):
    manifest = corpus(tmp_path, [3, 2])
    trials = draw(manifest, 1000)
    pairs = set(zip(trials.enroll_ids, trials.test_ids, strict=True))
    assert pairs == set(combinations([u.utterance_id for u in manifest.utterances], 2))
    assert (trials.n_target, trials.n_nontarget) == (4, 6)


@pytest.mark.parametrize("sizes", [[5], [1, 1, 1]])
def test_a_corpus_that_cannot_give_both_kinds_is_an_error(tmp_path, sizes):
    with pytest.raises(DataError, match="trials need two speakers"):
        draw(corpus(tmp_path, sizes), 10)
