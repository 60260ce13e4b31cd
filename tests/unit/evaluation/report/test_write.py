import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.evaluation.report import check_report, write_report
from mrlspk.evaluation.report.tables import csv_files, flat
from report_documents import DIMS, compare_document, eval_document


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


def test_earlier_report_is_replaced_only_with_force(document, tmp_path):
    folder = tmp_path / "report"
    write_report(document, folder)
    (folder / "errors.csv").write_text("of an earlier evaluation")
    with pytest.raises(MrlspkError, match="exists") as caught:
        check_report(folder, force=False)
    assert "`force`" in caught.value.fix
    write_report(document, folder, force=True)
    assert _names(folder) == ["index.html", "report.json", "results.csv"]
    assert _names(tmp_path) == ["report"]


@pytest.mark.parametrize("force", [False, True])
def test_folder_with_other_files_is_left_alone(document, tmp_path, force):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MrlspkError, match="other files"):
        write_report(document, tmp_path, force=force)
    assert _names(tmp_path) == ["thesis.tex"]


def test_file_in_place_of_the_folder_is_rejected(document, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(MrlspkError, match=r"not a folder|in the way|cannot be written"):
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


@pytest.mark.parametrize("refused", ["report.json", "results.csv", "index.html"])
@pytest.mark.parametrize("step", ["earlier", "new"])
def test_earlier_report_comes_back_when_a_file_cannot_be_moved(document, tmp_path, monkeypatch, refused, step):
    folder = tmp_path / "report"
    write_report(document, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = type(folder).rename

    def fail_for_one(self, target):
        moved = self.parent if step == "new" else target.parent
        if self.name == refused and moved.name.startswith(f".{step}"):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr("pathlib.Path.rename", fail_for_one)
    with pytest.raises(MrlspkError, match="Input/output"):
        write_report(document | {"model": "other.pt"}, folder, force=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_folder_that_is_there_stays_the_same_one(document, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    folder.mkdir(mode=0o750)
    before = folder.stat()
    monkeypatch.chdir(folder)
    write_report(document, Path())
    write_report(document, Path(), force=True)
    assert _names(Path()) == ["index.html", "report.json", "results.csv"]
    assert (folder.stat().st_ino, folder.stat().st_mode) == (before.st_ino, before.st_mode)
    assert _names(tmp_path) == ["report"]


def test_page_comes_last(document, tmp_path, monkeypatch):
    rename, moved = Path.rename, []

    def note(self, target):
        moved.append(Path(target).name)
        return rename(self, target)

    monkeypatch.setattr("pathlib.Path.rename", note)
    write_report(document, tmp_path)
    assert moved == ["report.json", "results.csv", "index.html"]


def test_what_a_killed_write_left_is_not_in_the_way(document, tmp_path):
    (tmp_path / ".new.123.partial").mkdir()
    write_report(document, tmp_path)
    write_report(document, tmp_path, force=True)
    assert (tmp_path / "index.html").is_file()


def test_files_of_killed_writes_are_removed_by_the_next_write(document, tmp_path):
    write_report(document, tmp_path / "report")
    earlier = tmp_path / "report" / ".earlier.1.partial"  # a write was killed when the old files had made room
    earlier.mkdir()
    for path in [path for path in (tmp_path / "report").iterdir() if path.is_file()]:
        path.rename(earlier / path.name)
    (tmp_path / "report" / ".new.2.partial").mkdir()
    with pytest.raises(MrlspkError, match="exists"):
        write_report(document, tmp_path / "report")
    write_report(document, tmp_path / "report", force=True)
    assert [path.name for path in (tmp_path / "report").iterdir() if path.name.startswith(".")] == []


def test_unwritable_folder_is_an_error_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != tmp_path)
    for folder in (tmp_path, tmp_path / "new" / "report"):
        with pytest.raises(MrlspkError, match="cannot be written"):
            check_report(folder, force=False)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_package_is_said_before_any_work(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mrlspk\[report\]'") as caught:
        check_report(tmp_path / "report", force=False)
    assert module in str(caught.value).lower()
    assert caught.value.exit_code == 4


def test_names_that_cannot_be_encoded_are_escaped(document, tmp_path):
    trials = document["trials"][0] | {"path": "half\udc80.txt"}
    write_report(document | {"trials": [trials]}, tmp_path / "report")
    assert "half\\udc80.txt" in (tmp_path / "report" / "results.csv").read_text(encoding="utf-8")
    assert "half\\udc80.txt" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.process
def test_package_loads_without_what_draws():
    code = "import sys, mrlspk.evaluation.report; assert not {'matplotlib', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def evaluation():
    return eval_document()


def _rows(text):
    return list(csv.DictReader(StringIO(text)))


def test_results_have_every_metric_unrounded(evaluation):
    rows = _rows(csv_files(evaluation)["results.csv"])
    assert [(row["trials"], int(row["dim"])) for row in rows] == [
        (trials["path"], dim) for trials in evaluation["trials"] for dim in DIMS
    ]
    result = evaluation["trials"][1]["results"][2]
    row = rows[len(DIMS) + 2]
    for name in ("eer", "threshold", "accuracy", "min_dcf", "cllr", "min_cllr", "calibrated_threshold"):
        assert float(row[name]) == result[name]
    assert [float(row["eer_low"]), float(row["eer_high"])] == result["eer_ci"]
    assert float(row["act_dcf@0.05"]) == result["dcf"][1]["act_dcf"]
    assert [float(row["min_dcf_low@0.05"]), float(row["min_dcf_high@0.05"])] == result["dcf"][1]["min_dcf_ci"]
    assert float(row["p_miss_at_fa@0.1"]) == result["false_accepts"][1]["p_miss"]
    assert row["official"] == ""


def test_enrolment_models_are_written_if_there_are_any(evaluation):
    rows = _rows(csv_files(evaluation)["results.csv"])
    expected = [trials["enrolments_sha256"] or "" for trials in evaluation["trials"] for _ in DIMS]
    assert [row["enrolments_sha256"] for row in rows] == expected
    assert "enrolments_sha256" not in csv_files(eval_document(seeds=(0,), extras=False))["results.csv"]


def test_further_tables_have_a_row_an_item(evaluation):
    files = {name: _rows(text) for name, text in csv_files(evaluation).items()}
    kinds = ("results", "baselines", "durations", "breakdown", "speakers", "errors")
    assert list(files) == [f"{kind}.csv" for kind in kinds]
    first = evaluation["trials"][0]
    assert len(files["baselines.csv"]) == 2 * (1 + 2 * (len(DIMS) - 1))
    assert [files["baselines.csv"][0][key] for key in ("name", "dim")] == ["own", str(DIMS[-2])]
    assert len(files["durations.csv"]) == 2 * 5 * len(DIMS)
    assert len(files["breakdown.csv"]) == 2 * 3 * len(DIMS)
    assert files["speakers.csv"][0]["speaker"] == first["worst_speakers"]["speakers"][0]["speaker"]
    assert files["errors.csv"][0]["error"] == "false accept"
    assert float(files["errors.csv"][0]["score"]) == first["errors"]["false_accepts"][0]["score"]


def test_metrics_that_were_not_asked_for_have_no_table():
    assert list(csv_files(eval_document(seeds=(0,), calibrated=False, extras=False))) == ["results.csv"]


def test_comparison_has_a_row_for_each_pair_and_width():
    document = compare_document(models=("a.pt", "b.pt", "c.pt"))
    files = {name: _rows(text) for name, text in csv_files(document).items()}
    assert list(files) == ["results.csv", "comparison.csv"]
    assert len(files["results.csv"]) == 3 * len(DIMS)
    pair = document["trials"][0]["results"][1]["pairs"][2]
    row = files["comparison.csv"][3 + 2]
    assert (row["a"], row["b"], float(row["delta_eer"])) == ("b.pt", "c.pt", pair["delta_eer"])
    assert [float(row["delta_low"]), float(row["delta_high"])] == pair["delta_ci"]
    assert int(row["mcnemar_only_a_wrong"]) == pair["mcnemar"]["only_a_wrong"]


def test_comparison_over_few_speakers_has_a_row_for_each():
    document = compare_document(speakers=True)
    files = {name: _rows(text) for name, text in csv_files(document).items()}
    pair = document["trials"][0]["results"][3]["pairs"][0]
    assert int(files["comparison.csv"][3]["signs_fewer"]) == pair["signs"]["fewer"]
    assert len(files["speakers.csv"]) == len(DIMS) * 24
    assert float(files["speakers.csv"][-1]["delta"]) == pair["speakers"][-1]["delta"]


def test_names_keep_their_commas_quotes_and_line_ends():
    document = eval_document(seeds=(0,), calibrated=False)
    names = ['a,"b".wav', "line\nbreak\r.wav"]
    document["trials"][0]["errors"]["misses"] = [{"enroll_id": names[0], "test_id": names[1], "score": 0.5}]
    text = csv_files(document)["errors.csv"]
    row = list(csv.DictReader(StringIO(text, newline="")))[-1]
    assert [row["enroll_id"], row["test_id"]] == names


def test_flat_names_keyed_items_by_their_key():
    assert flat({"dim": 16, "dcf": [{"p_target": 0.01, "min_dcf": 0.5, "min_dcf_ci": None}], "models": []}) == {
        "dim": 16,
        "min_dcf@0.01": 0.5,
        "min_dcf_low@0.01": None,
        "min_dcf_high@0.01": None,
    }
