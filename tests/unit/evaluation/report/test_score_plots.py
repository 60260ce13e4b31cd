import numpy as np
import pytest
from scipy.special import ndtri

from mrlspk.evaluation.report import score_plots
from mrlspk.evaluation.report.drawing import MUTED, width_looks


def _lines(figure, look):
    """The lines in the colour of a look."""
    (axes, *_) = figure.axes
    return [line for line in axes.lines if line.get_color() == look.colour]


def test_det_curves_have_their_error_rate_on_the_diagonal(drawn, two_lists):
    trials = two_lists["trials"][1]
    score_plots.list_figures(trials, "1")
    for look, curve, result in zip(width_looks(4), trials["curves"]["det"], trials["results"], strict=True):
        line, dot = _lines(drawn["det-1"], look)
        inside = (np.array(curve["p_fa"]) > 0.001) & (np.array(curve["p_miss"]) > 0.001)
        assert line.get_xdata()[inside][1:] == pytest.approx(ndtri(curve["p_fa"])[inside][1:])
        assert line.get_ydata()[inside][1:] == pytest.approx(ndtri(curve["p_miss"])[inside][1:])
        assert (*dot.get_xdata(), *dot.get_ydata()) == pytest.approx([ndtri(result["eer"])] * 2)


def test_histograms_have_their_threshold(drawn, two_lists):
    trials = two_lists["trials"][0]
    score_plots.list_figures(trials, "0")
    panels = drawn["histogram-0"].axes
    for panel, each, result in zip(panels, trials["curves"]["histograms"], trials["results"], strict=True):
        nontarget, _, target, _ = (patch.get_data() for patch in panel.patches)
        assert nontarget.values * trials["n_nontarget"] == pytest.approx(each["nontarget"])
        assert target.values * trials["n_target"] == pytest.approx(each["target"])
        assert target.edges.tolist() == each["edges"]
        assert panel.lines[0].get_xdata() == [result["threshold"]] * 2
        assert panel.get_title(loc="left") == f"width {result['dim']}"


def test_calibration_has_both_costs_and_the_priors(drawn, two_lists):
    trials = two_lists["trials"][0]
    score_plots.list_figures(trials, "0")
    for look, curve in zip(width_looks(4), trials["curves"]["calibration"], strict=True):
        actual, least = _lines(drawn["calibration-0"], look)
        assert actual.get_ydata().tolist() == curve["act_dcf"]
        assert least.get_ydata().tolist() == curve["min_dcf"]
    priors = [line.get_xdata()[0] for line in drawn["calibration-0"].axes[0].lines if line.get_color() == MUTED]
    assert priors[:2] == pytest.approx([np.log(0.01 / 0.99), np.log(0.05 / 0.95)])
