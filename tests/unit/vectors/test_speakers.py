import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.speakers import read_speakers, require_speakers, speakers_of


@pytest.mark.parametrize(
    "text",
    [
        "u1 anna\nu2 ben\n",
        "u1\tanna\r\nu2\tben",
        "id,speaker\nu1,anna\nu2,ben\n",
        "speaker;gender;utterance\nanna;f;u1\nben;m;u2\n",
        "Utterance ID\tSpeaker ID\nu1\tanna\nu2\tben\n",
    ],
)
def test_utt2spk_and_tables_give_the_speaker_of_each_id(tmp_path, text):
    (tmp_path / "labels").write_text(text, newline="")
    assert read_speakers(tmp_path / "labels") == {"u1": "anna", "u2": "ben"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("u1 anna\nu2\n", r"labels:2: expected an id and a speaker, got 'u2'"),
        ("u1 anna\nu1 ben\n", "labels:2: expected one speaker of u1, got anna and ben"),
        ("id,name\nu1,anna\n", "expected the columns id and speaker, got id, name"),
        ("id,speaker\nu1,\n", "labels:2: expected an id and a speaker"),
        ("id,speaker\nu1,anna,f\nu2,\n", "2 of 2 lines have errors"),
        ("", "got none"),
    ],
)
def test_bad_labels_are_errors_that_name_the_line(tmp_path, text, told):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(DataError, match=told):
        read_speakers(tmp_path / "labels")


def test_without_labels_the_speaker_is_the_part_before_the_slash():
    assert speakers_of(["a/1.wav", "b/x/2.wav", "c-3", "/4", "d/"]) == ("a", "b", None, None, None)
    assert speakers_of(["a/1.wav", "u2"], {"u2": "ben"}) == (None, "ben")


def test_required_speakers_are_counted_if_absent(tmp_path):
    assert require_speakers(["a/1", "b/1"], None, tmp_path) == ("a", "b")
    with pytest.raises(DataError, match="2 of 3 ids have no speaker, such as c-1, /d\nGive `speakers=FILE`: Kaldi's"):
        require_speakers(["a/1", "c-1", "/d"], None, tmp_path)
    with pytest.raises(DataError, match="such as c-1\nGive `speakers=FILE` with these ids; those of your file are"):
        require_speakers(["a/1", "c-1"], {"a/1": "a"}, tmp_path)
