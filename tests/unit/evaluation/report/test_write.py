import json
import subprocess
import sys

import pytest

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.evaluation.report import check_report, write_report
from report_documents import eval_document


@pytest.fixture(scope="module")
def document():
    return eval_document(seeds=(0,), calibrated=False, extras=False)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_report_is_a_page_with_its_data(document, tmp_path):
    write_report(document, tmp_path / "new" / "report")
    assert _names(tmp_path / "new" / "report") == ["index.html", "report.json", "results.csv"]
    assert _names(tmp_path / "new") == ["report"]
    assert json.loads((tmp_path / "new" / "report" / "report.json").read_text()) == document


def test_empty_folder_is_free(document, tmp_path):
    write_report(document, tmp_path)
    assert (tmp_path / "index.html").is_file()


def test_earlier_report_is_replaced_only_by_force(document, tmp_path):
    folder = tmp_path / "report"
    write_report(document, folder)
    (folder / "errors.csv").write_text("of an earlier evaluation")
    with pytest.raises(MrlspkError, match="exists") as caught:
        check_report(folder, force=False)
    assert "--force" in caught.value.fix
    write_report(document, folder, force=True)
    assert _names(folder) == ["index.html", "report.json", "results.csv"]
    assert _names(tmp_path) == ["report"]


@pytest.mark.parametrize("force", [False, True])
def test_folder_with_other_files_is_left_alone(document, tmp_path, force):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MrlspkError, match="other files"):
        write_report(document, tmp_path, force=force)
    assert _names(tmp_path) == ["thesis.tex"]


def test_file_in_the_way_is_refused(document, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(MrlspkError, match=r"no folder|in the way|cannot be written"):
            write_report(document, folder, force=True)


def test_failure_leaves_the_earlier_report_and_nothing_else(document, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_report(document, folder)
    before = (folder / "report.json").read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    with pytest.raises(MrlspkError, match="No space left"):
        write_report(document, folder, force=True)
    assert (folder / "report.json").read_bytes() == before
    assert _names(tmp_path) == ["report"]


def test_earlier_report_comes_back_when_the_new_one_cannot_take_its_place(document, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    write_report(document, folder)
    rename = type(folder).rename

    def fail_for_the_new_one(self, target):
        if target == folder and "earlier" not in self.name:
            raise OSError(16, "Device or resource busy")
        return rename(self, target)

    monkeypatch.setattr("pathlib.Path.rename", fail_for_the_new_one)
    with pytest.raises(MrlspkError, match="busy"):
        write_report(document, folder, force=True)
    assert _names(folder) == ["index.html", "report.json", "results.csv"]
    assert _names(tmp_path) == ["report"]


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_package_is_said_before_any_work(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mrlspk\[report\]'") as caught:
        check_report(tmp_path / "report", force=False)
    assert module in str(caught.value).lower()
    assert caught.value.exit_code == 4


def test_names_that_no_encoding_holds_are_written_by_their_code(document, tmp_path):
    trials = document["trials"][0] | {"path": "half\udc80.txt"}
    write_report(document | {"trials": [trials]}, tmp_path / "report")
    assert "half\\udc80.txt" in (tmp_path / "report" / "results.csv").read_text(encoding="utf-8")
    assert "half\\udc80.txt" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_package_loads_without_what_draws():
    code = "import sys, mrlspk.evaluation.report; assert not {'matplotlib', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
