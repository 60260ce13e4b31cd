import csv
import json

import numpy as np
import pytest
from scipy.special import ndtri

from mrlspk.evaluation.report import open_set_plots
from mrlspk.evaluation.report.drawing import width_looks
from mrlspk.evaluation.report.page import render_page
from mrlspk.evaluation.report.write import write_report


def rate(false_alarm_rate, found):
    interval = None if found is None else [found - 0.1, found + 0.05]
    return {"false_alarm_rate": false_alarm_rate, "identification_rate": found, "identification_rate_ci": interval}


def decisions(above, up_to, measured_false_accept_rate):
    shares = {
        "accepted": 0.8125,
        "accepted_ci": [0.7, 0.9],
        "misidentified": 0.01,
        "ambiguous": 0.02,
        "unknown": 0.1575,
    }
    return {
        "above_seconds": above,
        "up_to_seconds": up_to,
        "false_accept_rate": 0.01,
        "measured_false_accept_rate": measured_false_accept_rate,
        "measured_false_accept_rate_ci": None,
        **shares,
    }


@pytest.fixture
def document():
    curves = [{"dim": dim, "p_fa": [1.0, 0.3, 0.01, 0.0], "p_miss": [0.05, 0.1, 0.4, 1.0]} for dim in (16, 64)]
    results = [
        {
            "dim": dim,
            "rank_1": 0.9321,
            "rank_1_ci": [0.9, 0.95],
            "rates": [rate(0.001, None), rate(0.01, 0.6543)],
            "decisions": [decisions(None, None, 0.0123), decisions(0.0, 3.0, 0.0456), decisions(6.0, None, None)],
        }
        for dim in (16, 64)
    ]
    return {
        "command": "index evaluate",
        "schema_version": 1,
        "mrlspk_version": "1",
        "index": "calls/voices",
        "voices": 1234,
        "enrolled": {"n_queries": 500, "n_speakers": 120},
        "unknown": {"n_queries": 300, "n_speakers": 100},
        "level": 0.95,
        "results": results,
        "curves": {"det": curves},
    }


def test_page_tells_rates_and_decisions(document):
    page = render_page(document)
    for text in ("1,234 voices", "at 0.1 %", "93.21", "65.43", "over 6 s", "0 to 3 s", "4.56", "81.25"):
        assert text in page
    assert page.count("<td>– </td>") == 4  # two rates and two decisions without a value
    assert page.count("<figure>") == 1


def test_page_of_an_index_without_a_calibration_has_no_decisions(document):
    for row in document["results"]:
        row["decisions"] = []
    assert 'id="decisions"' not in render_page(document)


def test_det_curves_are_those_of_the_document(document, monkeypatch):
    figures = []
    monkeypatch.setattr(open_set_plots, "to_svg", lambda figure, _: figures.append(figure) or "")
    open_set_plots.open_set_det(document)
    (axes,) = figures[0].axes
    assert "FPIR" in axes.get_xlabel()
    assert "FNIR" in axes.get_ylabel()
    for line, look in zip(axes.lines, width_looks(2), strict=True):
        assert line.get_color() == look.colour
        assert line.get_xdata()[1:3] == pytest.approx(ndtri([0.3, 0.01]))
        assert line.get_ydata()[:3] == pytest.approx(ndtri([0.05, 0.1, 0.4]))
    assert np.isfinite(axes.get_xlim()).all()


def test_report_folder_has_the_document_and_its_tables(document, tmp_path):
    write_report(document, tmp_path / "report")
    assert json.loads((tmp_path / "report/report.json").read_text()) == document
    rows = list(csv.DictReader((tmp_path / "report/identification.csv").read_text().splitlines()))
    assert [(row["dim"], row["false_alarm_rate"], row["identification_rate"]) for row in rows] == [
        ("16", "0.001", ""),
        ("16", "0.01", "0.6543"),
        ("64", "0.001", ""),
        ("64", "0.01", "0.6543"),
    ]
    rows = list(csv.DictReader((tmp_path / "report/decisions.csv").read_text().splitlines()))
    assert [row["measured_false_accept_rate"] for row in rows[:3]] == ["0.0123", "0.0456", ""]
    assert len(list(csv.DictReader((tmp_path / "report/results.csv").read_text().splitlines()))) == 2
    write_report(document, tmp_path / "report", force=True)  # a report is replaced as a whole
