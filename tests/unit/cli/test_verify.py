import math
from types import SimpleNamespace

import pytest

from mrlspk.cli.verify import _answer
from mrlspk.workflows.verify import WidthScore

MILLION = math.log(1e6)
REPORT = SimpleNamespace(calibration=SimpleNamespace(content=SimpleNamespace(llr_bounds=(-MILLION, MILLION))))


@pytest.mark.parametrize(
    ("llr", "same", "expected"),
    [
        (math.log(7234), True, "same speaker (likelihood ratio 7,200), at width 128"),
        (math.log(3.14), False, "not accepted as the same speaker (likelihood ratio 3.1), at width 128"),
        (-math.log(851), False, "different speakers (likelihood ratio 1/850), at width 128"),
        (13.8, True, "same speaker (likelihood ratio 980,000), at width 128"),
        (-math.log(2), True, "same speaker (likelihood ratio 1/2), at width 128"),
        (MILLION, True, "same speaker (likelihood ratio at least 1,000,000), at width 128"),
        (-MILLION, False, "different speakers (likelihood ratio at most 1/1,000,000), at width 128"),
    ],
)
def test_answer_gives_the_decision_and_its_likelihood_ratio(llr, same, expected):
    assert _answer(WidthScore(128, cosine=0.5, score=0.5, threshold=0.3, same=same, llr=llr), REPORT) == expected
