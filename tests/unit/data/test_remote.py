import sys
from pathlib import Path

import pytest
from fsspec.registry import _registry

from mrlspk.data.remote import as_url, beside, is_url, read_range
from mrlspk.errors import DataError, MissingDependencyError


@pytest.mark.parametrize(
    "url",
    [
        "https://host:8080/a/b?c=d",
        "s3://bucket/a b/c",
        "simplecache::s3://bucket/a",
        "filecache::https://host/a",
    ],
)
def test_url_survives_a_path(url):
    assert as_url(url) == as_url(Path(url)) == url


@pytest.mark.parametrize("path", ["/a/b", "a/b", "./http", "C:/a", "C:\\a", "a::b/c", ""])
def test_path_is_no_url(path):
    assert as_url(path) is None
    assert not is_url(Path(path))


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("/data/index.jsonl", "shard-0.tar", "/data/shard-0.tar"),
        ("index.jsonl", "a/b.tar", "a/b.tar"),
        ("/data/index.jsonl", "/else/b.tar", "/else/b.tar"),
        ("https://host/a/index.jsonl?key=1", "b.tar", "https://host/a/b.tar"),
        ("s3://bucket/index.jsonl", "https://host/b.tar", "https://host/b.tar"),
        ("/data/index.jsonl", "s3://bucket/b.tar", "s3://bucket/b.tar"),
    ],
)
def test_location_beside_another(path, name, expected):
    assert beside(path, name) == expected


def test_unknown_protocol_is_an_error_of_the_data():
    with pytest.raises(DataError, match="Protocol not known: nosuch"):
        read_range("nosuch://a/b", 0, 1)


@pytest.mark.parametrize(("module", "url"), [("fsspec", "https://host/a"), ("s3fs", "s3://bucket/a")])
def test_missing_package_is_named_with_how_to_install_it(monkeypatch, module, url):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # where fsspec keeps what it has imported
    with pytest.raises(MissingDependencyError) as caught:
        read_range(url, 0, 1)
    assert caught.value.exit_code == 4
    assert module in caught.value.what
    assert caught.value.fix == "Type: pip install 'mrlspk[remote]'"
