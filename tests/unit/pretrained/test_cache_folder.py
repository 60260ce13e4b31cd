from pathlib import Path

import pytest

from mrlspk.errors import DownloadError
from mrlspk.pretrained.cache_folder import file_name, shown


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("http://user:word@host:80/a/b.pt?signature=1#part", "http://host:80/a/b.pt"),
        ("https://token@host/b%20c.pt", "https://host/b%20c.pt"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://user:word@[::1/x?signature=1", "http://[::1/x"),
        ("http://host/a@b.pt", "http://host/a@b.pt"),
        ("http://host/a?signature=1\n2", "http://host/a"),
        ("http://host?to=http://user:word@host", "http://host"),
        (Path("/mirror/a?b.pt"), "/mirror/a?b.pt"),
    ],
)
def test_secrets_of_an_address_are_not_shown(source, expected):
    assert shown(source) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/some/where/a.pt?version=2", "a.pt"),
        ("/a%20b.pt", "a b.pt"),
        ("/a%2Fb.pt", "b.pt"),
        *(
            (path, "model.pt")
            for path in ("", "/", "/..", "/a/..", "/%2e%2e", "/.", "/%00.pt", "/a%0Ab.pt", "/" + 201 * "a")
        ),
        ("/" + 200 * "a", 200 * "a"),
    ],
)
def test_file_is_named_as_in_its_address_where_that_is_a_name(path, expected):
    assert file_name(f"http://host{path}") == expected


@pytest.mark.parametrize("address", ["ftp://host/model.pt", "file:///etc/passwd", "http://", "http://[::1/x"])
def test_other_addresses_are_refused(address):
    with pytest.raises(DownloadError, match="expected an http or https address"):
        file_name(address)
