"""Continue the download of a part of a file."""

import os

import pytest

from mrlspk.pretrained.partial import Origin, Partial

ADDRESS = "https://server.test/model.pt"
ORIGIN = Origin(address=ADDRESS, total=10, validator='"tag"')


@pytest.fixture
def partial(tmp_path):
    """Five bytes of the ten of `ORIGIN`."""
    begun = Partial(tmp_path / "model.pt")
    with begun.begin(ORIGIN) as file:
        file.write(b"01234")
    return begun


def test_part_is_resumed_where_it_ends(partial):
    assert partial.origin(ADDRESS, sha256_known=False) == ORIGIN
    assert partial.offset(10) == 5
    with partial.resume(5, 10) as file:
        file.write(b"56789")
    assert partial.path.read_bytes() == b"0123456789"


def test_last_byte_of_a_complete_part_is_requested_again(partial):
    partial.path.write_bytes(b"0123456789")
    assert partial.origin(ADDRESS, sha256_known=False) == ORIGIN
    assert partial.offset(10) == 9


@pytest.mark.parametrize("content", [b"", b"more than ten"])
def test_part_of_an_impossible_size_is_not_resumed(partial, content):
    partial.path.write_bytes(content)
    assert partial.origin(ADDRESS, sha256_known=True) is None


def test_part_of_another_url_is_not_resumed(partial):
    assert partial.origin("https://server.test/other.pt", sha256_known=True) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"address": 1}', '{"address": "a", "total": 5, "validator": null, "x": 1}']
)
def test_part_with_a_damaged_record_is_not_resumed(partial, text):
    partial.record.write_text(text)
    assert partial.origin(ADDRESS, sha256_known=True) is None


def test_record_or_part_alone_is_not_resumed(partial):
    partial.path.unlink()
    assert partial.origin(ADDRESS, sha256_known=True) is None
    assert partial.exists()
    partial.drop()
    assert not partial.exists()
    partial.path.write_bytes(b"01234")
    assert partial.origin(ADDRESS, sha256_known=True) is None


@pytest.mark.parametrize(("validator", "total"), [(None, 10), ('"tag"', None)])
def test_part_of_unknown_content_or_length_is_not_resumed(partial, validator, total):
    with partial.begin(Origin(address=ADDRESS, total=total, validator=validator)) as file:
        file.write(b"01234")
    assert partial.origin(ADDRESS, sha256_known=False) is None
    assert (partial.origin(ADDRESS, sha256_known=True) is None) == (total is None)


@pytest.mark.parametrize(("content", "useful"), [(b"01234", True), (b"", False), (b"more than ten", False)])
def test_only_a_useful_part_is_kept(partial, content, useful):
    partial.path.write_bytes(content)
    assert partial.keep_if_useful(sha256_known=False) == useful
    assert partial.exists() == useful


def test_part_without_validator_is_resumed_if_the_hash_is_known(partial):
    partial.record.write_text(ORIGIN.model_copy(update={"validator": None}).model_dump_json())
    assert partial.keep_if_useful(sha256_known=True)
    assert not partial.keep_if_useful(sha256_known=False)


def test_unreadable_record_is_not_resumed(partial):
    partial.record.unlink()
    partial.record.mkdir()
    assert partial.origin(ADDRESS, sha256_known=True) is None


def test_part_of_another_user_is_not_resumed(partial, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != partial.path or not mode & os.W_OK)
    assert partial.origin(ADDRESS, sha256_known=True) is None
