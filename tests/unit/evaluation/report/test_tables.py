import csv
from io import StringIO

import pytest

from mrlspk.evaluation.report.tables import csv_files, flat
from report_documents import DIMS, compare_document, eval_document


@pytest.fixture(scope="module")
def evaluation():
    return eval_document()


def _rows(text):
    return list(csv.DictReader(StringIO(text)))


def test_results_hold_every_figure_of_every_list_and_width_unrounded(evaluation):
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


def test_enrolment_models_are_told_where_there_are_any(evaluation):
    rows = _rows(csv_files(evaluation)["results.csv"])
    told = [trials["enrolments_sha256"] or "" for trials in evaluation["trials"] for _ in DIMS]
    assert [row["enrolments_sha256"] for row in rows] == told
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


def test_figures_that_were_not_asked_for_have_no_table():
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
