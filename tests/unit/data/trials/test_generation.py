from itertools import combinations

import numpy as np
import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.choices import SameSession
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.trials import generate_trials, read_trials, write_trials
from mrlspk.data.utterance_ids import session_of, speaker_of
from mrlspk.errors import DataError


def utterance(utterance_id):
    return Utterance(utterance_id, speaker_of(utterance_id), session_of(utterance_id), FileSource(utterance_id))


def corpus(tmp_path, sizes, n_sessions=1):
    ids = [f"s{s}/{n % n_sessions}/{n:03}.wav" for s, size in enumerate(sizes) for n in range(size)]
    return Manifest(tmp_path, tuple(utterance(i) for i in sorted(ids)))


def draw(manifest, n_trials, seed=0, **options):
    return generate_trials(manifest, n_trials, seed=seed, path="generated from here", **options)


@pytest.mark.parametrize("name", ["s1/a b.wav", "s1/a\u3000b.wav", "s1/a\tb.wav", "s1/a.wav "])
def test_no_list_is_made_that_could_not_be_read(tmp_path, name):
    ids = [name, "s1/2.wav", "s2/1.wav"]
    manifest = Manifest(tmp_path, tuple(utterance(i) for i in ids))
    with pytest.raises(DataError, match="white space") as caught:
        draw(manifest, 10)
    assert caught.value.where == name
    assert caught.value.fix


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


@pytest.mark.parametrize(
    ("sizes", "n_trials", "sha256"),
    [  # of the lists that the first release drew
        ([10] * 6, 40, "69c3d8f35b8a3ab94039f32c2a7c80ee8d2f863de0d9aeb4de960f40dba142b9"),
        ([3, 40, 1, 7], 100, "e4b974ede0e4a7c2338bb651d50cc4e32814ba593a8be34c7a406de28ea18c02"),
    ],
)
def test_the_draw_of_a_seed_stays_what_it_was(tmp_path, sizes, n_trials, sha256):
    assert draw(corpus(tmp_path, sizes, n_sessions=2), n_trials, seed=3).sha256 == sha256


def test_target_trials_never_within_a_session_leave_out_who_has_but_one(tmp_path):
    ids = ["s0/a/1.wav", "s0/a/2.wav", "s1/a/1.wav", "s1/a/2.wav", "s1/b/1.wav"]
    manifest = Manifest(tmp_path, tuple(utterance(i) for i in ids))
    trials = draw(manifest, 100, same_session=SameSession.NEVER)
    target = [pair for pair in zip(trials.enroll_ids, trials.test_ids, trials.is_target, strict=True) if pair[2]]
    assert [pair[:2] for pair in target] == [("s1/a/1.wav", "s1/b/1.wav"), ("s1/a/2.wav", "s1/b/1.wav")]


def test_target_trials_within_a_session_can_be_allowed(tmp_path):
    trials = draw(corpus(tmp_path, [6, 6], n_sessions=2), 1000, same_session=SameSession.ALLOW)
    assert trials.n_target == 2 * 15  # every pair of six
    assert draw(corpus(tmp_path, [6, 6], n_sessions=2), 1000).n_target == 2 * 9  # three of one session with three


def test_no_target_trial_across_sessions_is_an_error(tmp_path):
    with pytest.raises(DataError, match="need a speaker with two"):
        draw(corpus(tmp_path, [4, 4]), 10, same_session=SameSession.NEVER)


@pytest.mark.parametrize("n_trials", [20, 2000])
def test_matched_nontarget_trials_are_between_speakers_of_one_value(tmp_path, n_trials):
    values = {"s0": "f", "s1": "m", "s2": "f", "s3": "m", "s4": "m"}
    trials = draw(corpus(tmp_path, [5] * 6), n_trials, match=values)
    pairs = zip(trials.enroll_ids, trials.test_ids, strict=True)
    nontarget = {(speaker_of(a), speaker_of(b)) for a, b in pairs if speaker_of(a) != speaker_of(b)}
    assert nontarget == {("s0", "s2"), ("s1", "s3"), ("s1", "s4"), ("s3", "s4")}
    assert trials.n_nontarget == (10 if n_trials == 20 else 4 * 25)


def test_matched_pairs_of_speakers_are_drawn_as_often_as_each_other(tmp_path):
    values = {f"s{n}": "f" if n < 2 else "m" for n in range(6)}  # one pair of f, six of m
    trials = draw(corpus(tmp_path, [100] * 6), 2 * 1400, match=values)
    nontarget = [enroll for enroll, target in zip(trials.enroll_ids, trials.is_target, strict=True) if not target]
    n_f = sum(speaker_of(enroll) == "s0" for enroll in nontarget)
    assert abs(n_f - 200) < 5 * (1400 / 7 * 6 / 7) ** 0.5


def test_values_that_no_two_speakers_share_are_an_error(tmp_path):
    with pytest.raises(DataError, match="matched non-target trials need two speakers of one value"):
        draw(corpus(tmp_path, [4, 4]), 10, match={"s0": "f", "s1": "m"})
