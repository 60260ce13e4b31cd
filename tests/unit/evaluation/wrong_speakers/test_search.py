import numpy as np
import pytest

from mrlspk.evaluation.wrong_speakers.mixture import Normal, part
from mrlspk.evaluation.wrong_speakers.search import search_voices
from mrlspk.evaluation.wrong_speakers.voices import Sums, Voices

DIM = 48


def draw_voices(n_speakers, n_utterances, *, seed=0, noise=0.6):
    """Return vectors around a direction for each speaker, far from the origin as those of some models are."""
    rng = np.random.default_rng(seed)
    speakers = rng.normal(size=(n_speakers, DIM))
    index = np.repeat(np.arange(n_speakers), n_utterances)
    vectors = speakers[index] + noise * rng.normal(size=(len(index), DIM)) + 2.0
    return vectors.astype(np.float32), index


def search(vectors, index, sessions=None):
    voices = Voices(vectors, index, index.max() + 1)
    return search_voices(voices, np.arange(len(index)) if sessions is None else sessions)


def test_voices_without_a_wrong_label_have_no_finding():
    found = search(*draw_voices(60, 5))
    assert found.other_voices == ()
    assert found.same_voices == ()


def test_moved_utterances_are_found_with_the_speaker_they_sound_like():
    vectors, index = draw_voices(60, 5)
    index[[7, 100]] = 30, 31  # of speakers 1 and 20
    found = search(vectors, index)
    assert {(each.speaker, *each.rows, each.nearest) for each in found.other_voices} == {(30, 7, 1), (31, 100, 20)}
    assert found.same_voices == ()


def test_second_voice_of_several_utterances_is_found_as_one_group():
    vectors, index = draw_voices(60, 5)
    index[10:12] = 30  # two utterances of speaker 2
    (other,) = search(vectors, index).other_voices
    assert (other.speaker, other.rows.tolist(), other.nearest) == (30, [10, 11], 2)


def test_two_moved_voices_under_one_speaker_are_both_found():
    vectors, index = draw_voices(60, 6)
    index[[0, 40]] = 30
    found = search(vectors, index).other_voices
    assert {each for other in found for each in other.rows.tolist()} == {0, 40}


def test_split_speaker_is_found_whichever_labels_it_has():
    vectors, index = draw_voices(60, 6)
    index[3:6] = 60  # half of speaker 0
    index[np.flatnonzero(index == 5)[:2]] = 61
    index[np.flatnonzero(index == 5)[:2]] = 62
    found = search(vectors, index)
    assert {each.speakers for each in found.same_voices} == {(0, 60), (5, 61, 62)}
    assert found.other_voices == ()


def test_two_utterances_a_speaker_leave_only_one_voice_to_search_for():
    vectors, index = draw_voices(60, 2)
    index[3] = 60  # one of speaker 1
    found = search(vectors, index)
    assert found.two_voices is None
    assert [each.speakers for each in found.same_voices] == [(1, 60)]


def test_one_utterance_a_speaker_leaves_nothing_to_search_for():
    found = search(*draw_voices(60, 1))
    assert (found.two_voices, found.one_voice) == (None, None)


def test_similar_speakers_of_a_group_are_not_one_voice():
    vectors, index = draw_voices(160, 6)
    vectors[index < 16] += 2 * np.random.default_rng(1).normal(size=DIM)  # sixteen who share a room or an accent
    index[96:99] = 160  # half of speaker 16
    found = search(vectors, index)
    assert [each.speakers for each in found.same_voices] == [(16, 160)]


def test_moved_utterances_do_not_make_their_speakers_one_voice():
    vectors, index = draw_voices(60, 8)
    index[16:23] = 30  # all but one of speaker 2
    found = search(vectors, index)
    assert [each.rows.tolist() for each in found.other_voices] == [list(range(16, 23))]
    assert found.same_voices == ()


def test_cosines_of_different_speakers_are_about_zero():
    vectors, index = draw_voices(60, 5)
    sums = Voices(vectors, index, 60).sums()
    cosines = sums.means @ sums.means.T
    assert abs(cosines[np.triu_indices(60, 1)].mean()) < 0.03


def test_cosine_within_few_recordings_is_drawn_to_the_typical_one():
    two = Sums(np.array([[1.5, np.sqrt(0.75)], [1.0, 0.0]]), np.array([2, 1]))  # a cosine of 0.5, and one recording
    assert two.own_cosines == pytest.approx([0.5, 0])
    assert two.within(0.8) == pytest.approx([(0.5 + 2 * 0.8) / 3, 0.8])


def test_order_and_length_of_the_vectors_do_not_matter():
    vectors, index = draw_voices(60, 5)
    index[7] = 30
    order = np.random.default_rng(0).permutation(len(index))
    lengths = np.random.default_rng(1).uniform(0.1, 50, len(index)).astype(np.float32)
    found = search((vectors * lengths[:, None])[order], index[order])
    (other,) = found.other_voices
    assert order[other.rows].tolist() == [7]


def test_threshold_is_where_the_rare_kind_becomes_likelier():
    rng = np.random.default_rng(0)
    same, different = Normal(1.0, 0.1), Normal(0.0, 0.1)
    scores = np.concatenate([rng.normal(1, 0.1, 9900), rng.normal(0, 0.1, 100)])
    parting = part(scores, same=same, different=different, rare="different")
    assert parting.share == pytest.approx(0.01, abs=1e-4)
    # equal: log(share) - x^2 / 2s^2 = log(1 - share) - (x - 1)^2 / 2s^2, by hand x = 0.5 - s^2 log(99)
    assert parting.threshold == pytest.approx(0.5 - 0.01 * np.log(99), abs=1e-3)


def test_threshold_gets_stricter_with_fewer_wrong_labels():
    rng = np.random.default_rng(0)
    same, different = Normal(1.0, 0.1), Normal(0.0, 0.1)
    common = rng.normal(1, 0.1, 5000)
    thresholds = [
        part(np.concatenate([common, np.zeros(n)]), same=same, different=different, rare="different").threshold
        for n in (0, 5, 500)
    ]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[2]
