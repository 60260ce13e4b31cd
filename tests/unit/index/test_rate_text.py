import pytest

from mrlspk.index.rate_text import rate_text


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.01, "1 %"), (0.00044, "0.044 %"), (8.37e-06, "0.00084 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_rate_has_two_digits(rate, shown):
    assert rate_text(rate) == shown
