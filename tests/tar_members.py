"""A tar of one member."""

import tarfile
from io import BytesIO

from mrlspk.data.audio.source import TarMember, list_tar


def write_tar(archive, name, content):
    """Write a tar and return its member."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    with tarfile.open(archive, "w") as tar:
        tar.addfile(entry, BytesIO(content))
    (member,) = list_tar(archive)
    assert isinstance(member, TarMember)
    return member
