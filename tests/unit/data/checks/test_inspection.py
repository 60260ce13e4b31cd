"""Digests of whole recordings, and a recording that is gone before its digest is taken."""

import io

import numpy as np
import soundfile
from tests.tar_members import write_tar

from mrlspk.data.audio.source import RangeSource, as_source
from mrlspk.data.checks import inspection
from mrlspk.data.checks.inspection import inspect_files
from mrlspk.data.corpora.recipe_registry import scan_corpus

NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000)


def test_digest_of_a_member_is_that_of_its_file_and_closes_it(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE, 16_000)
    content = (tmp_path / "a.wav").read_bytes()
    opened = []

    class Member:
        path, start_seconds, seconds = None, 0.0, None

        def open(self):
            opened.append(io.BytesIO(content))
            return opened[-1]

        def size(self):
            return len(content)

    file, member = as_source(tmp_path / "a.wav"), write_tar(tmp_path / "a.tar", "b.wav", content)
    assert len({inspection._digest(each) for each in (file, member, Member())} - {0}) == 1
    assert [each.closed for each in opened] == [True]
    assert inspection._digest(RangeSource(file, 0.5)) == 0


def test_file_that_is_gone_before_its_digest_is_unreadable(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "1.wav", NOISE, 16_000)
    utterances = scan_corpus(tmp_path).utterances
    read_header = inspection.read_header

    def read_and_remove(source, **options):
        header = read_header(source, **options)
        source.path.unlink()
        return header

    monkeypatch.setattr(inspection, "read_header", read_and_remove)
    found = inspect_files(utterances, is_decoded=np.zeros(1, bool))
    assert [(each.kind, each.where) for each in found.problems] == [("unreadable", "a/1.wav")]
    assert "No such file" in found.problems[0].message
