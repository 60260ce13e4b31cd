import unicodedata
from pathlib import Path

import pytest

from mrlspk.data.missing_files import missing_cause


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_file_in_another_form_of_unicode_is_found(tmp_path, form, other):
    (tmp_path / unicodedata.normalize(form, "café.wav")).touch()
    cause = missing_cause(tmp_path / unicodedata.normalize(other, "café.wav"))
    assert cause is not None
    assert cause.endswith(f"write the list in {form}")


def test_file_beside_its_list_is_found(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.wav").touch()
    monkeypatch.chdir(tmp_path)
    cause = missing_cause(Path("a.wav"), listed_in=Path("lists/list.txt"))
    assert cause is not None
    assert "change to lists first" in cause


@pytest.mark.parametrize(("name", "has_cause"), [("a.wav", False), ("é.wav", False), ("a\\b.wav", True)])
def test_plain_absence_has_no_cause(tmp_path, name, has_cause):
    assert (missing_cause(tmp_path / name) is not None) is has_cause
