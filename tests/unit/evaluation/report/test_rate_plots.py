import numpy as np
import pytest

from mrlspk.evaluation.report import rate_plots
from mrlspk.evaluation.report.drawing import looks, width_looks
from mrlspk.evaluation.report.values import model_names
from report_documents import DIMS, compare_document


def _lines(figure, look):
    """The lines in the colour of a look."""
    (axes, *_) = figure.axes
    return [line for line in axes.lines if line.get_color() == look.colour]


def _compare(document):
    return rate_plots.compare_figures(document, document["trials"][0], model_names(document["models"]), "0")


def _rates(figure, look):
    (line,) = [line for line in _lines(figure, look) if line.get_marker() == look.marker]
    return line.get_xdata(), line.get_ydata() / 100


def _intervals(figure, number):
    segments = figure.axes[0].collections[number].get_segments()
    return [tuple(segment[:, 1] / 100) for segment in segments]


def test_overview_draws_the_error_rates_of_every_list(drawn, two_lists):
    legend = rate_plots.eval_overview(two_lists, ["first", "second"]).legend
    assert legend == list(zip(["first", "second"], looks(2), strict=True))
    for number, (look, trials) in enumerate(zip(looks(2), two_lists["trials"], strict=True)):
        x, rates = _rates(drawn["eer-width"], look)
        assert rates == pytest.approx([result["eer"] for result in trials["results"]])
        assert 2**x == pytest.approx(DIMS, rel=0.1)
        expected = [pytest.approx(result["eer_ci"]) for result in trials["results"]]
        assert _intervals(drawn["eer-width"], number) == expected


def test_width_without_an_interval_has_no_bar(drawn, two_lists):
    lists = [
        {"results": [row | {"eer_ci": None} if row["dim"] == 16 else row for row in each["results"]]}
        for each in two_lists["trials"]
    ]
    rate_plots.eval_overview({"trials": lists}, ["first", "second"])
    bars = drawn["eer-width"].axes[0].collections[0].get_segments()
    assert [len(bar) for bar in bars] == [0, 2, 2, 2]


def test_comparison_draws_each_model_under_its_name(drawn):
    document = compare_document(models=("runs/a/best.pt", "runs/b/best.pt"))
    rates, differences = _compare(document)
    results = document["trials"][0]["results"]
    for index, look in enumerate(looks(2)):
        expected = [result["models"][index] for result in results]
        assert _rates(drawn["eer-width-0"], look)[1] == pytest.approx([model["eer"] for model in expected])
        assert _intervals(drawn["eer-width-0"], index) == [pytest.approx(model["eer_ci"]) for model in expected]
    assert [label for label, _ in rates.legend] == ["a/best.pt", "b/best.pt"]
    shown = _rates(drawn["difference-0"], looks(1)[0])[1]
    assert shown == pytest.approx([result["pairs"][0]["delta_eer"] for result in results])
    expected = [pytest.approx(result["pairs"][0]["delta_ci"]) for result in results]
    assert _intervals(drawn["difference-0"], 0) == expected
    assert [label for label, _ in differences.legend] == ["b/best.pt − a/best.pt"]
    assert shown[-1] < 0  # the second model has less noise
    assert differences.note.startswith("Below zero b/best.pt has the lower error.")


def test_differences_of_many_pairs_say_which_is_lower(drawn):
    document = compare_document(models=("a.pt", "b.pt", "c.pt"))
    _, differences = _compare(document)
    assert [label for label, _ in differences.legend] == ["b.pt − a.pt", "c.pt − a.pt", "c.pt − b.pt"]
    assert differences.note.startswith("Below zero the model before the minus sign has the lower error.")
    assert [_rates(drawn["difference-0"], look)[1][-1] < 0 for look in looks(3)] == [True] * 3


def test_differences_without_intervals_show_speakers(drawn):
    document = compare_document(speakers=True)
    _, differences = _compare(document)
    pair = document["trials"][0]["results"][2]["pairs"][0]
    dots = drawn["difference-0"].axes[0].collections[3].get_offsets()  # after the bars
    assert np.asarray(dots)[:, 1] / 100 == pytest.approx([speaker["delta"] for speaker in pair["speakers"]])
    assert "Small dots are speakers" in differences.note


def test_run_is_drawn_in_the_order_of_its_epochs(drawn):
    document = compare_document(models=("late.pt", "early.pt"), run=True)
    for each, epoch in zip(document["run"]["checkpoints"], (7, 3), strict=True):
        each["epoch"] = epoch
    _compare(document)
    for look, result in zip(width_looks(4), document["trials"][0]["results"], strict=True):
        epochs, rates = _rates(drawn["eer-epoch-0"], look)
        assert epochs == pytest.approx([3, 7], abs=1)
        assert rates == pytest.approx([result["models"][1]["eer"], result["models"][0]["eer"]])
