from pathlib import Path

import pytest

from mrlspk.errors import DataError


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        (Path("http://host/a/x.wav"), "http://host/a/x.wav"),
        (Path("simplecache::s3://bucket/x.tar"), "simplecache::s3://bucket/x.tar"),
        ("http://host/x.tsv:3", "http://host/x.tsv:3"),
        (Path("/data/x.wav"), "/data/x.wav"),
        ("data.exclude", "data.exclude"),
    ],
)
def test_message_shows_a_url_with_both_slashes(where, shown):
    assert str(DataError("is damaged", where)) == f"{shown}: is damaged"
