"""Distances of codes with NumPy, counted another way."""

import numpy as np
import pytest

from mrlspk.index.funnel.codes import code_columns
from mrlspk.index.funnel.numpy_scan import bit_distances
from mrlspk.index.shortlist import ShortlistSpec


@pytest.mark.parametrize("dim", [40, 64, 128, 200, 512, 1024])
def test_bit_distances_equal_a_count_of_bits(dim):
    codes = np.random.default_rng(dim).integers(0, 256, (131, code_columns(ShortlistSpec("bits", dim))), np.uint8)
    codes[1] = ~codes[0]  # every bit differs
    found = list(bit_distances(codes[:2])(codes))
    for query, distances in zip(codes[:2], found, strict=True):
        np.testing.assert_array_equal(distances, np.unpackbits(codes ^ query, axis=1).sum(axis=1))
