from pathlib import Path

import pytest

from mrlspk.config.sources import read_environment
from mrlspk.errors import ConfigError


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Read the settings from these variables of ours."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def read_with(**variables):
        return read_environment({f"MRLSPK_{name}": value for name, value in variables.items()})

    return read_with


def test_empty_variable_counts_as_not_set(read):
    assert read(MODEL="", CACHE_DIR="", MIRROR="") == read()
    assert read().mirror is None


@pytest.mark.parametrize(
    "mirror",
    ["http://host", "HTTPS://host:8000/models/", "http://user:word@host/a%20b", "http://[::1]:8000/x", "/srv", "a b/c"],
)
def test_mirror_is_an_address_or_a_folder(read, mirror):
    assert read(MIRROR=mirror).mirror == mirror


@pytest.mark.parametrize(
    "mirror",
    [
        "s3://bucket/x",
        "ftp://host/x",
        "file:///srv",
        "http://",
        "https:///x",
        "http://[::1/x",
        "http://host/?k=v",
        "http://host?",
        "http://host/#part",
    ],
)
def test_invalid_mirror_is_refused_with_its_variable(read, mirror):
    with pytest.raises(ConfigError) as caught:
        read(MIRROR=mirror)
    assert caught.value.where == "MRLSPK_MIRROR"
    assert "MRLSPK_MIRROR" in caught.value.fix


def test_home_is_expanded_and_unknown_user_refused(read, tmp_path):
    settings = read(CACHE_DIR="~/cache", MIRROR="~/mirror")
    assert (settings.cache_dir, Path(settings.mirror)) == (tmp_path / "cache", tmp_path / "mirror")
    for name in ("CACHE_DIR", "MIRROR"):
        with pytest.raises(ConfigError, match="there is no such user") as caught:
            read(**{name: "~nobody-of-this-name/x"})
        assert caught.value.where == f"MRLSPK_{name}"


def test_cache_folder_is_looked_up_when_it_is_asked_for(read, monkeypatch, tmp_path):
    assert read().cache_folder() == tmp_path / ".cache" / "mrlspk"
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    assert read().cache_folder() == tmp_path / "other" / ".cache" / "mrlspk"


def test_without_home_the_cache_folder_must_be_given(read, monkeypatch):
    def no_entry(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    with pytest.raises(ConfigError, match="no home folder") as caught:
        read().cache_folder()
    assert caught.value.where == "MRLSPK_CACHE_DIR"
    assert read(CACHE_DIR="/given").cache_folder() == Path("/given")
