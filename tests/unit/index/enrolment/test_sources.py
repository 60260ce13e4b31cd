"""Recordings to enrol, from folders and tables."""

import pytest

from mrlspk.errors import DataError, UsageError
from mrlspk.index.enrolment.sources import AudioOfVoice, audio_of_folder, audio_of_table, check_voice_name


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def test_folder_names_its_voices_at_any_depth(tmp_path, caplog):
    deep, flat = touch(tmp_path / "ann" / "a" / "b" / "1.wav"), touch(tmp_path / "bob" / "2.flac")
    touch(tmp_path / "alone.wav")
    assert audio_of_folder(tmp_path).recordings == (AudioOfVoice("ann", deep), AudioOfVoice("bob", flat))
    assert "files in no folder of a speaker: 1, such as alone.wav" in caplog.text


def test_folder_without_speakers_is_refused_with_the_layout(tmp_path):
    touch(tmp_path / "1.wav")
    with pytest.raises(DataError, match=r"speaker/file.*got 1\.wav"):
        audio_of_folder(tmp_path)


def test_table_gives_recordings_and_typed_metadata(tmp_path):
    beside = touch(tmp_path / "audio" / "1.wav")
    table = tmp_path / "voices.csv"
    rows = 'Ann,audio/1.wav,"north, east",41,true', 'Ann,/x/2.wav,"north, east",41,true', "Bob,3.wav,,,"
    table.write_text("\n".join(["Name,path,site,age,VIP", *rows]))
    found = audio_of_table(table)
    pairs = [(each.name, each.path) for each in found.recordings]
    assert pairs == [("Ann", beside), ("Ann", "/x/2.wav"), ("Bob", "3.wav")]
    assert found.metadata == {"Ann": {"site": "north, east", "age": 41, "VIP": True}}


def test_table_path_starts_at_the_working_directory_first(tmp_path, monkeypatch):
    touch(tmp_path / "lists" / "1.wav")
    touch(tmp_path / "1.wav")
    (tmp_path / "lists" / "voices.csv").write_text("name,path\nann,1.wav\n")
    monkeypatch.chdir(tmp_path)
    assert audio_of_table(tmp_path / "lists" / "voices.csv").recordings == (AudioOfVoice("ann", "1.wav"),)


def test_table_errors_name_every_bad_line(tmp_path):
    table = tmp_path / "voices.tsv"
    table.write_text("name\tpath\tage\nann\t1.wav\t3\nann\t2.wav\t4\n\t3.wav\t5\nbob\t\t6\n")
    with pytest.raises(DataError) as caught:
        audio_of_table(table)
    for line in ("3: has other metadata of ann", "4: expected a name", "5: expected a path"):
        assert f"voices.tsv:{line}" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("name,file", "expected the column path, got the columns name, file"),
        ("Path,file", "expected the column name, got the columns path, file"),
        ("a,b", "expected the columns name and path, got the columns a, b"),
        ("name,path,path", "expected the column path once, got the columns name, path, path"),
        ("name,path,age,age", "expected the column age once, got the columns name, path, age, age"),
    ],
)
def test_table_without_its_columns_each_once_is_refused(tmp_path, header, what):
    table = tmp_path / "voices.csv"
    table.write_text(f"{header}\na,b,c,d\n")
    with pytest.raises(DataError) as caught:
        audio_of_table(table)
    assert (caught.value.what, "names the columns name and path" in caught.value.fix) == (what, True)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 501, "\ud800"])
def test_name_that_no_line_can_show_is_refused(name):
    with pytest.raises(UsageError, match="name"):
        check_voice_name(name)


def test_table_without_a_recording_is_refused(tmp_path):
    table = tmp_path / "voices.csv"
    table.write_text("name,path,site\n")
    with pytest.raises(DataError, match="expected a line for each recording, got none"):
        audio_of_table(table)


def test_name_loses_the_white_space_around_it():
    assert check_voice_name(" Dörte van 't Hoff ") == "Dörte van 't Hoff"
