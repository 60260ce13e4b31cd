from pathlib import Path

from mrlspk.data.demo_marker import DEMO_MARKER, is_demo_corpus


def test_demo_corpus_and_its_parts_are_recognised(tmp_path):
    (tmp_path / "demo" / "train").mkdir(parents=True)
    (tmp_path / "mine" / "demo").mkdir(parents=True)
    (tmp_path / "demo" / DEMO_MARKER).write_text("{}")
    found = [tmp_path / name for name in ("demo", "demo/train", "mine", "mine/demo") if is_demo_corpus(tmp_path / name)]
    assert found == [tmp_path / "demo", tmp_path / "demo" / "train"]


def test_relative_folder_is_recognised(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    (tmp_path / DEMO_MARKER).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert is_demo_corpus(Path("train"))
