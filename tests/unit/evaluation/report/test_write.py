import csv
import json
import resource
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from mrlspk.errors import MissingDependencyError, MrlspkError
from mrlspk.evaluation.report import check_report, page, write_report
from mrlspk.evaluation.report.tables import csv_files, flat
from report_documents import DIMS, compare_document, eval_document


@pytest.fixture(scope="module")
def document():
    return eval_document(seeds=(0,), calibrated=False, extras=False)


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    for folder, problem in ((tmp_path / "file", "is not a folder"), (tmp_path / "file" / "report", "is in the way")):
        with pytest.raises(MrlspkError, match=problem):
            write_report(document, folder, force=True)


@pytest.mark.parametrize("exists", [False, True])
def test_full_disk_leaves_what_was_there_and_nothing_else(document, tmp_path, exists):
    folder = tmp_path / "report"
    if exists:
        write_report(document, folder)
    before = _contents(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(MrlspkError, match="cannot be written: File too large"):
            write_report(document | {"model": {"path": "other.pt"}}, folder, force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _contents(tmp_path) == before


def test_report_that_appears_meanwhile_is_not_replaced(document, tmp_path, monkeypatch):
    folder, render = tmp_path / "report", page.render_page

    def render_while_another_writes(plain):
        folder.mkdir()
        (folder / "index.html").write_text("of another")
        return render(plain)

    monkeypatch.setattr(page, "render_page", render_while_another_writes)
    with pytest.raises(MrlspkError, match="appeared meanwhile") as caught:
        write_report(document, folder)
    assert (folder / "index.html").read_text() == "of another"
    assert str(tmp_path / "report.partial") in caught.value.fix
    assert _names(tmp_path / "report.partial") == ["index.html", "report.json", "results.csv"]


@pytest.mark.process
@pytest.mark.parametrize("force", [False, True])
def test_killed_write_leaves_one_partial_folder_that_the_next_names(document, tmp_path, caplog, force):
    folder = tmp_path / "report"
    if force:
        write_report(document, folder)
    before = _contents(tmp_path)
    (tmp_path / "document.json").write_text(json.dumps(document))
    code = (
        "import json, os, pathlib, signal; from mrlspk.evaluation.report import write_report\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_report(json.loads(pathlib.Path('document.json').read_text()), pathlib.Path('report'), force=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    (tmp_path / "document.json").unlink()
    assert ended.returncode == -signal.SIGKILL
    assert {name: text for name, text in _contents(tmp_path).items() if name.parts[0] == "report"} == before
    assert _names(tmp_path) == [*(["report"] if force else []), "report.partial"]
    write_report(document, folder, force=force)
    assert "report.partial: left by a process that was killed; removed" in caplog.text
    assert _names(tmp_path) == ["report"]
    assert _names(folder) == ["index.html", "report.json", "results.csv"]


def test_report_with_every_table_can_be_replaced(tmp_path):
    documents = [eval_document(seeds=(0,)), compare_document(speakers=True)]
    for document in [*documents, documents[0]]:
        write_report(document, tmp_path / "report", force=True)
        assert set(_names(tmp_path / "report")) == {"index.html", "report.json", *csv_files(document)}


def test_working_directory_is_rejected_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MrlspkError, match="is a mount point or the working directory") as caught:
        check_report(Path(), force=True)
    assert "inside it" in caught.value.fix


def test_mount_point_is_rejected_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == tmp_path)
    with pytest.raises(MrlspkError, match="is a mount point"):
        check_report(tmp_path, force=True)


@pytest.mark.parametrize("name", ["n" * 256, "loop/report", "loop"])
def test_name_that_cannot_be_is_rejected_before_any_work(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MrlspkError, match=r"cannot be written|in the way|not a folder"):
        check_report(tmp_path / name, force=True)


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
