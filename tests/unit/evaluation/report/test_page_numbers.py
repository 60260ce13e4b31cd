"""Every table of a page shows the values of the document, each in its row and column."""

import pytest

from mrlspk.evaluation.report.page import render_page
from report_documents import compare_document, eval_document, expected_tables, page_tables, without_intervals

LIST_TABLES = {"lists-table", "winners"}  # checked on their own


@pytest.mark.parametrize(
    "make",
    [
        eval_document,
        lambda: eval_document(seeds=(0,), calibrated=False, extras=False),
        lambda: without_intervals(eval_document(seeds=(1,), extras=False)),
        lambda: compare_document(models=("a.pt", "b.pt", "c.pt"), seeds=(0, 1)),
        lambda: compare_document(models=("late.pt", "early.pt", "mid.pt"), run=True),
        lambda: compare_document(speakers=True),
        lambda: compare_document(models=("a.pt", "b.pt", "c.pt"), speakers=True),
    ],
    ids=["evaluation", "plain", "without intervals", "comparison", "run", "few speakers", "pairs of few speakers"],
)
def test_tables_show_the_values_of_the_document(make):
    document = make()
    shown, expected = page_tables(render_page(document)), expected_tables(document)
    assert set(shown) - LIST_TABLES == set(expected)
    for name, rows in expected.items():
        assert shown[name] == rows, name


def test_lists_are_shown_with_their_counts():
    first, second = eval_document(extras=False)["trials"]
    second["n_speakers"] = None
    document = eval_document(extras=False) | {"trials": [first | {"missing": {"n_utterances": 1234}}, second]}
    document["trials"][0]["missing"] |= {"n_trials": 5, "first": ["a.wav"]}
    rows = page_tables(render_page(document))["lists-table"]
    assert rows[0] == [
        *("list", "target", "non-target", "speakers", "utterances", "missing", "SHA-256"),
        "SHA-256 of the enrolment models",
    ]
    counts = [[f"{each[key]:,}" for key in ("n_target", "n_nontarget")] for each in (first, second)]
    assert rows[1] == [
        *("list-0.txt is VoxCeleb1-O (cleaned)", *counts[0], "24", "120", "1,234"),
        *(first["sha256"], "–"),
    ]
    assert rows[2] == ["list-1.txt", *counts[1], "–", "120", "–", second["sha256"], second["enrolments_sha256"]]


def test_new_metric_has_a_column():
    document = eval_document(seeds=(0,), extras=False)
    for place, row in enumerate(document["trials"][0]["results"]):
        row["c_primary"] = place / 8
    table = page_tables(render_page(document))["results-0"]
    assert [row[-1] for row in table] == ["c_primary", "0.0000", "0.1250", "0.2500", "0.3750"]


def test_value_that_was_not_measured_is_a_dash():
    document = eval_document(seeds=(0,), extras=False)
    rows = document["trials"][0]["results"]
    rows[0]["min_cllr"] = rows[0]["false_accepts"][0]["threshold"] = None
    tables = page_tables(render_page(document))
    assert tables["rates-0"][2][1] == "–"
    column = [row[7] for row in tables["results-0"]]
    assert column[:3] == ["minCllr", "–", f"{rows[1]['min_cllr']:.4f}"]


def test_cards_show_the_error_rate_at_full_width():
    document = eval_document(seeds=(0,), extras=False)
    narrow, *_, widest = document["trials"][0]["results"]
    page = " ".join(render_page(document).split())
    low, high = (f"{100 * bound:.2f}" for bound in widest["eer_ci"])
    assert f'{100 * widest["eer"]:.2f}<span class="unit"> %</span> <span class="interval">[{low}, {high}]' in page
    assert f"Equal error rate at width 128; {100 * narrow['eer']:.2f}&nbsp;% at width 16." in page
