import pytest

from mrlspk.feature_store.folder import readable


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0.0 kB"), (940, "0.9 kB"), (1_000_000, "1.0 MB"), (5_031_996_672, "5.0 GB"), (2 * 10**15, "2000.0 TB")],
)
def test_sizes_are_told_in_the_unit_that_suits_them(n_bytes, text):
    assert readable(n_bytes) == text
