import tarfile
from io import BytesIO

import pytest

from mrlspk.data.audio.source import list_tar
from mrlspk.data.tar_header import BLOCK, is_header_of

LONG = "folder/" * 20 + "a.wav"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("name", ["a/b.wav", LONG, "sprecher/ö.wav"])
def test_header_of_every_format_is_that_of_its_member(tmp_path, form, name):
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        for each in (name, "other.wav"):
            entry = tarfile.TarInfo(each)
            entry.size = 700
            tar.addfile(entry, BytesIO(bytes(700)))
    content = (tmp_path / "a.tar").read_bytes()
    first, other = list_tar(tmp_path / "a.tar")
    header = content[first.offset - BLOCK : first.offset]
    assert is_header_of(header, name, 700)
    assert not is_header_of(header, name, 701)
    assert name == "sprecher/ö.wav" or not is_header_of(header, "other.wav", 700)
    assert not is_header_of(content[other.offset : other.offset + BLOCK], "other.wav", 700)
    assert not is_header_of(b"", name, 700)
