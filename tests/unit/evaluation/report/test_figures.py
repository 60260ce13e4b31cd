"""Figures of a report draw the numbers of its document."""

import numpy as np
import pytest

from mrlspk.evaluation.report import figures
from mrlspk.evaluation.report.values import model_names
from report_documents import DIMS, compare_document, eval_document


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of each drawing by its name, as they were given; nothing is drawn."""
    calls = {}
    for function in ("draw_rates", "draw_differences", "draw_det", "draw_histograms", "draw_bayes_errors"):

        def note(*arguments, name, **_):
            calls[name] = arguments
            return ""

        monkeypatch.setattr(figures.plots, function, note)
    return calls


@pytest.fixture(scope="module")
def evaluation():
    return eval_document(extras=False)


def _compare(document):
    return figures.compare_figures(document, 0, model_names(document["models"]))


def test_overview_draws_the_error_rates_of_every_list(drawn, evaluation):
    legend = figures.eval_overview(evaluation, ["first", "second"]).legend
    series, shown = drawn["eer-width"]
    for each, trials in zip(series, evaluation["trials"], strict=True):
        assert list(each.x) == list(DIMS)
        assert each.rates == [result["eer"] for result in trials["results"]]
        assert each.intervals == [result["eer_ci"] for result in trials["results"]]
    assert [label for label, _ in legend] == ["first", "second"]
    assert [look for _, look in legend] == shown


def test_list_draws_its_curves_and_thresholds(drawn, evaluation):
    figures.list_figures(evaluation, 1)
    trials = evaluation["trials"][1]
    curves, results = trials["curves"], trials["results"]
    assert drawn["det-1"][:2] == (curves["det"], [result["eer"] for result in results])
    assert drawn["histogram-1"] == (curves["histograms"], [result["threshold"] for result in results])
    shown, log_odds, _ = drawn["calibration-1"]
    assert shown == curves["calibration"]
    assert log_odds == pytest.approx([np.log(0.01 / 0.99), np.log(0.05 / 0.95)])


def test_comparison_draws_each_model_under_its_name(drawn):
    document = compare_document(models=("runs/a/best.pt", "runs/b/best.pt"))
    rates, differences = _compare(document)
    results = document["trials"][0]["results"]
    for index, each in enumerate(drawn["eer-width-0"][0]):
        assert each.rates == [result["models"][index]["eer"] for result in results]
        assert each.intervals == [result["models"][index]["eer_ci"] for result in results]
    assert [label for label, _ in rates.legend] == ["a/best.pt", "b/best.pt"]
    (series,) = drawn["difference-0"][0]
    assert series.rates == [result["pairs"][0]["delta_eer"] for result in results]
    assert series.intervals == [result["pairs"][0]["delta_ci"] for result in results]
    assert [label for label, _ in differences.legend] == ["b/best.pt − a/best.pt"]
    assert series.rates[-1] < 0  # the second model has less noise
    assert differences.note.startswith("Below zero b/best.pt has the lower error.")


def test_differences_of_many_pairs_say_which_is_lower(drawn):
    document = compare_document(models=("a.pt", "b.pt", "c.pt"))
    _, differences = _compare(document)
    assert [label for label, _ in differences.legend] == ["b.pt − a.pt", "c.pt − a.pt", "c.pt − b.pt"]
    assert differences.note.startswith("Below zero the model before the minus sign has the lower error.")
    assert [series.rates[-1] < 0 for series in drawn["difference-0"][0]] == [True] * 3


def test_differences_without_intervals_show_speakers(drawn):
    document = compare_document(speakers=True)
    _compare(document)
    (series,) = drawn["difference-0"][0]
    pair = document["trials"][0]["results"][2]["pairs"][0]
    assert not series.has_intervals
    assert series.parts[2] == [speaker["delta"] for speaker in pair["speakers"]]


def test_run_is_drawn_in_the_order_of_its_epochs(drawn):
    document = compare_document(models=("late.pt", "early.pt"), run=True)
    for each, epoch in zip(document["run"]["checkpoints"], (7, 3), strict=True):
        each["epoch"] = epoch
    _compare(document)
    series = drawn["eer-epoch-0"][0]
    for each, result in zip(series, document["trials"][0]["results"], strict=True):
        assert list(each.x) == [3, 7]
        assert list(each.rates) == [result["models"][1]["eer"], result["models"][0]["eer"]]
