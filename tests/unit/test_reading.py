import os
from pathlib import Path

import pytest

from mrlspk.errors import ConfigError, DataError
from mrlspk.reading import LARGEST_LIST, parse_json, parse_yaml, read_bytes, read_text, read_yaml


def refusal(read, *arguments, **options):
    with pytest.raises(DataError) as caught:
        read(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2026-13-45", "line 2, column 4: no valid timestamp"),
        ("a: 0x" + "f" * 5000, "line 1, column 4: no valid int"),
        ("a: 0b_", "line 1, column 4: no valid int"),
        ("!!int foo", "line 1, column 1: no valid int"),
        ('!!int ""', "line 1, column 1: no valid int"),
        ("!!bool maybe", "line 1, column 1: no valid bool"),
        ("!!timestamp x", "line 1, column 1: no valid timestamp"),
        ("9" * 5000, "line 1, column 1: no valid int"),
        ("{a: b}: c", "line 1, column 1: found unhashable key"),
        ("a: [", "line 1, column 5"),
        ("a:\n  b: 1\n  c: 2\n  'b': 3", "line 4, column 3: b is given in line 2 already"),
        ("a: \x01", "unacceptable character #x0001"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("[" * 20_000, "line 1, column 51: nested too deeply"),
    ],
)
def test_a_faulty_yaml_value_is_one_error_with_its_place(text, expected):
    message = refusal(parse_yaml, text, "run.yaml", DataError)
    assert message.startswith("run.yaml: is ")
    assert expected in message
    assert "object" not in message  # of PyYAML's own code
    assert len(message) < 300


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 20_000, "9" * 5000, "{", "", b"\xff"])
def test_a_faulty_json_value_is_one_error_with_its_place(text):
    message = refusal(parse_json, text, "key.json", DataError)
    assert message.startswith("key.json: is ")
    assert len(message) < 300


def test_yaml_and_json_values_are_read_as_by_their_libraries():
    assert parse_yaml("a: [1, 0x10, 1.5, yes, null]", "x", ConfigError) == {"a": [1, 16, 1.5, True, None]}
    assert parse_json('{"a": [1, null]}', "x", ConfigError) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"caf\xe9", "byte 4 is 0xe9"), (b"ab\0", "character 3 is NUL"), (b"\xff\xfe1\0", "byte 1 is 0xff")],
)
def test_what_is_not_text_is_refused_with_its_place(tmp_path, content, expected):
    (tmp_path / "list.txt").write_bytes(content)
    assert expected in refusal(read_text, tmp_path / "list.txt", DataError)


def test_a_byte_order_mark_is_left_out(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml(tmp_path / "a.yaml", ConfigError) == {"a": 1}


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)  # read whole, this would take all memory
    assert "is too large: expected at most 16,777,216 bytes" in refusal(read_bytes, path, DataError)


def test_a_device_without_end_is_read_up_to_the_limit():
    assert "is too large" in refusal(read_bytes, Path("/dev/urandom"), DataError, most_bytes=100)


def test_reading_text_ends_at_a_nul(tmp_path):
    path = tmp_path / "damaged.txt"
    path.write_bytes(b"a b\n")
    os.truncate(path, LARGEST_LIST)  # as a file system fills in what a crash lost: read whole, it would take all memory
    assert "character 5 is NUL" in refusal(read_text, path, DataError, most_bytes=LARGEST_LIST)


def test_a_list_of_twenty_million_trials_may_be_read():
    assert 20_000_000 * len("1 id10270/5r0dWxy17C8/00001.wav id10270/8jEAjG6SegY/00008.wav\n") < LARGEST_LIST


def test_as_many_bytes_as_allowed_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_bytes(tmp_path / "a", DataError, most_bytes=4) == b"1234"
    refusal(read_bytes, tmp_path / "a", DataError, most_bytes=3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("absent", "No such file"),
        (".", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("a\0b", "a NUL character in its name"),
        ("\ud800", "not Unicode text"),
        ("loop", "symbolic links"),
    ],
)
def test_a_path_that_cannot_be_opened_is_one_error(tmp_path, name, expected):
    (tmp_path / "loop").symlink_to("loop")
    message = refusal(read_bytes, tmp_path / name, DataError, "Check the path.")
    assert expected in message
    assert message.endswith("\nCheck the path.")
