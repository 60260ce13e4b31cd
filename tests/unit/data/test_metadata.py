import pytest

from mrlspk.data.metadata import read_metadata
from mrlspk.errors import DataError, UsageError

VOX1 = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
    "id10002\tA.R._Rahman\tm\tIndia\t\n"
)
VOX2 = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid00012 ,n000012 ,m ,dev \n"


def read(tmp_path, text, name="meta.csv"):
    (tmp_path / name).write_text(text)
    return read_metadata(tmp_path / name)


def test_the_tables_of_voxceleb_are_read(tmp_path):
    metadata = read(tmp_path, VOX1)
    assert metadata.columns == ("vggface1_id", "gender", "nationality", "set")
    assert metadata.value("gender", "id10001/x/1.wav", "id10001") == "m"
    assert metadata.value("Nationality", "id10002/x/1.wav", "id10002") == "India"
    assert metadata.value("set", "id10002/x/1.wav", "id10002") is None
    assert metadata.value("gender", "id10003/x/1.wav", "id10003") is None
    assert read(tmp_path, VOX2).value("gender", "id00012/x/1.m4a", "id00012") == "m"


def test_metadata_of_an_utterance_override_those_of_its_speaker(tmp_path):
    metadata = read(tmp_path, "noise;ID\nlow;a\nhigh;a/1.wav\nnone;a/2\n;a/3\n")
    values = [metadata.value("noise", f"a/{n}.wav", "a") for n in (1, 2, 3, 4)]
    assert values == ["high", "none", "low", "low"]


def test_json_lines_are_read(tmp_path):
    metadata = read(tmp_path, '{"speaker_id": "a", "age": 30}\n\n{"speaker_id": "b", "gender": "f"}\n', "meta.jsonl")
    assert metadata.columns == ("age", "gender")
    assert metadata.value("age", "a/1.wav", "a") == "30"
    assert metadata.value("age", "b/1.wav", "b") is None


def test_unknown_column_error_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="Did you mean gender"):
        read(tmp_path, VOX1).value("gendr", "id10001/x/1.wav", "id10001")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table with a header"),
        ("a m\nb f\n", "expected a table with a header, or JSON lines, got 'a m'"),
        ("id,gender\na,m\na,f\n", "has a a second time, with other values"),
        ("id,gender\n,m\n", "expected a name in column id, got none"),
        ("id,gender\na\n", "expected 2 cells, as in the first line, got 1"),
        ('{"id": "a"\n', "expected a JSON object"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)
