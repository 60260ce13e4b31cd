import pytest

from mrlspk.data.corpora.likely_corpus import corpus_above, corpus_below, corpus_of_speaker, corpus_of_splits


@pytest.mark.parametrize(
    ("files", "likely"),
    [
        (["train/s1/a/1.wav", "train/s2/a/1.wav", "test/s3/a/1.wav"], "train"),
        (["x/y/aac/s1/a/1.wav", "x/y/aac/s2/a/1.wav"], "x/y/aac"),
        (["1.wav", "2.wav"], None),
        (["a/s1/x/1.wav", "b/s1/x/1.wav", "c/s1/x/1.wav"], None),
    ],
)
def test_folder_that_holds_most_speakers_is_likely(tmp_path, files, likely):
    assert corpus_below(tmp_path, files) == (tmp_path / likely if likely else None)


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_session_leads_to_the_corpus_and_so_does_a_speaker(tmp_path):
    fill(tmp_path, *(f"deep/s{speaker}/{session}/1.wav" for speaker in range(2) for session in "abc"))
    fill(tmp_path, *(f"{part}/s{speaker}/1.wav" for part in ("train", "test") for speaker in range(2)))
    assert corpus_above(tmp_path / "deep" / "s0" / "a") == tmp_path / "deep"
    assert corpus_above(tmp_path / "train" / "s0") == tmp_path / "train"


def test_folder_without_others_beside_it_has_no_corpus_above(tmp_path):
    fill(tmp_path, "alone/recordings/1.wav")
    assert corpus_above(tmp_path / "alone" / "recordings") is None


@pytest.mark.parametrize(("n_speakers", "is_likely"), [(7, True), (5, False)])
def test_speaker_is_known_by_five_others_with_sessions(tmp_path, n_speakers, is_likely):
    fill(tmp_path, *(f"s{speaker}/{session}/1.wav" for speaker in range(n_speakers) for session in "ab"))
    assert corpus_of_speaker(tmp_path / "s0") == (tmp_path if is_likely else None)


def test_corpora_beside_each_other_are_no_speakers(tmp_path):
    fill(tmp_path, *(f"c{corpus}/s{speaker}/x/1.wav" for corpus in range(7) for speaker in range(2)))
    assert corpus_of_speaker(tmp_path / "c0") is None


@pytest.mark.parametrize(("speakers", "likely"), [({"train", "Test"}, "Test"), ({"train", "anna"}, None)])
def test_parts_of_a_corpus_are_known_by_name(tmp_path, speakers, likely):
    assert corpus_of_splits(tmp_path, speakers) == (tmp_path / likely if likely else None)
