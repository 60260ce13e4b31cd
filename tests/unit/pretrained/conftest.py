"""Published files, a folder that serves as their mirror, and a registry that tests can extend."""

import errno
from pathlib import Path

import pytest

from model_files import checkpoint, sha256
from mrlspk.pretrained import fetch, find_model

NAME, FILE = "redimnet-b0-vox2-ptn", "b0-vox2-ptn.pt"  # its SHA-256 is not known beforehand
PINNED, PINNED_FILE = "redimnet-b2-vox2-ptn", "b2-vox2-ptn.pt"


BODY, ANOTHER = checkpoint(b"weights" * 1000), checkpoint(b"another")
SHA256 = sha256(BODY)


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in (FILE, PINNED_FILE):
        (folder / name).write_bytes(BODY)
    return folder


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def pin(monkeypatch):
    """Let the registry know some of `NAME`, as a later version may."""

    def change(**known):
        model = find_model(NAME).model_copy(update=known)
        monkeypatch.setattr(fetch, "find_model", lambda _name: model)

    return change


def files_in(folder):
    """Return the names of all files but the locks."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != ".locks")


def fail_at(monkeypatch, method, path):
    """Let a method of `Path` fail at one path, as it does for who has no right to it."""
    original = getattr(Path, method)

    def fail(self, *arguments, **options):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, method, fail)
