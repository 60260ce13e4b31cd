import json

import numpy as np
import pytest

from mrlspk.index.decisions.document import add_det_curves, open_set_values
from mrlspk.index.decisions.open_set import evaluate_open_set
from mrlspk.index.decisions.searches import Searches


def report():
    best = np.array([[0.9], [0.7], [0.5], [0.8], [0.6], [0.4]])
    right = np.array([[1], [1], [1], [0], [0], [0]], bool)
    searches = Searches([*"aabcde"], right[:, 0], np.full(6, 4.0), (8,), best, best - 1, right, 7)
    return evaluate_open_set(searches, false_alarm_rates=(0.01, 0.5), n_resamples=20)


def test_values_are_those_of_the_report_and_valid_json():
    values = open_set_values(report())
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["voices"] == 7
    assert values["enrolled"] == {"n_queries": 3, "n_speakers": 2}
    assert values["unknown"] == {"n_queries": 3, "n_speakers": 3}
    (width,) = values["results"]
    assert (width["dim"], width["rank_1"], width["decisions"]) == (8, 1.0, [])
    hundredth, half = width["rates"]
    assert (hundredth["identification_rate"], hundredth["identification_rate_ci"]) == (None, None)
    assert half["identification_rate"] == pytest.approx(2 / 3)
    assert half["false_alarms"] == pytest.approx(1 / 3)


def test_curves_run_from_every_false_alarm_to_every_miss():
    found = report()
    (curve,) = add_det_curves(open_set_values(found), found)["curves"]["det"]
    assert curve["dim"] == 8
    assert (curve["p_fa"][0], curve["p_miss"][0]) == (1.0, 0.0)
    assert (curve["p_fa"][-1], curve["p_miss"][-1]) == (0.0, 1.0)
    json.dumps(curve, allow_nan=False)
