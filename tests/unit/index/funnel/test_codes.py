"""Codes of unit vectors: layout, scale, and the same code alone and among many."""

import numpy as np
import pytest

from mrlspk.index.funnel.codes import code_columns, code_dtype, encode, encode_queries, random_rotation
from mrlspk.index.shortlist import ShortlistSpec

SPECS = [ShortlistSpec("bits", 192), ShortlistSpec("int8", 64), ShortlistSpec("float32", 64)]


def unit_vectors(rows, dim=96, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rotation_of(spec, dim=96):
    return random_rotation(dim, 0) if spec.type == "bits" else None


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
def test_codes_have_the_stated_shape_and_dtype(spec):
    codes = encode(unit_vectors(5), spec, rotation_of(spec))
    assert codes.shape == (5, code_columns(spec))
    assert codes.dtype == code_dtype(spec)
    assert codes.flags.c_contiguous


def test_rows_of_bits_are_whole_words():
    assert [code_columns(ShortlistSpec("bits", dim)) for dim in (1, 64, 65, 192, 256, 512)] == [8, 8, 16, 32, 32, 64]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.type)
def test_codes_are_the_same_alone_and_in_any_block(spec):
    vectors, rotation = unit_vectors(20000), rotation_of(spec)
    codes = encode(vectors, spec, rotation)
    picked = [0, 77, 16383, 16384, 19999]
    for row in picked:
        np.testing.assert_array_equal(encode(vectors[row : row + 1], spec, rotation)[0], codes[row])
    np.testing.assert_array_equal(encode(vectors[3:], spec, rotation), codes[3:])


def test_bits_of_values_near_zero_are_the_same_alone_and_in_a_block():
    rotation = random_rotation(96, 0)
    blind = rotation[:, :40].astype(np.float64)
    vectors = unit_vectors(200).astype(np.float64)
    vectors -= vectors @ np.linalg.pinv(blind).T @ blind.T  # at right angles to 40 columns, but for rounding
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    codes = encode(vectors, SPECS[0], rotation)
    alone = np.concatenate([encode(vector[None], SPECS[0], rotation) for vector in vectors])
    np.testing.assert_array_equal(alone, codes)


def test_bits_are_the_signs_of_the_rotated_vector():
    vectors = np.array([[0.6, 0.8, 0.0], [-0.6, 0.0, 0.8]], np.float32)
    codes = encode(vectors, ShortlistSpec("bits", 3), np.eye(3, dtype=np.float32))
    assert codes[:, 0].tolist() == [0b011, 0b100]
    assert not codes[:, 1:].any()


def test_int8_has_a_fixed_scale_that_clips_nothing():
    vectors = np.array([[1, 0, 0, 0], [0.5, -0.5, 0.5, -0.5], [0.3, -np.sqrt(0.91), 0, 0]], np.float32)
    codes = encode(vectors, ShortlistSpec("int8", 4), None)
    assert (codes.astype(int) - 128).tolist() == [[127, 0, 0, 0], [64, -64, 64, -64], [38, -121, 0, 0]]


def test_prefixes_have_unit_length_and_zeros_stay_zeros():
    vectors = unit_vectors(4)
    vectors[2, :64] = 0
    codes = encode(vectors, ShortlistSpec("float32", 64), None)
    assert np.linalg.norm(codes, axis=1) == pytest.approx([1, 1, 0, 1], abs=2e-3)


@pytest.mark.parametrize("spec", SPECS[1:], ids=lambda spec: spec.type)
def test_products_of_queries_with_codes_are_exact_in_float32(spec):
    vectors = unit_vectors(300)
    queries = encode_queries(unit_vectors(50, seed=1) + vectors[:50], spec, None)
    codes = encode(vectors, spec, None).astype(np.float32) - (128 if spec.type == "int8" else 0)
    exact = queries.astype(np.float64) @ codes.astype(np.float64).T
    np.testing.assert_array_equal(queries @ codes.T, exact)
    np.testing.assert_array_equal(np.stack([codes[:, ::-1] @ query[::-1] for query in queries]), exact)


def test_rotations_are_orthogonal_and_the_seed_fixes_them():
    rotation = random_rotation(64, 3)
    first, second = np.hsplit(rotation, 2)
    np.testing.assert_allclose(first @ first.T, np.eye(64), atol=5e-3)
    np.testing.assert_allclose(second @ second.T, np.eye(64), atol=5e-3)
    assert (first != second).mean() > 0.9
    np.testing.assert_array_equal(rotation, random_rotation(64, 3))
    assert (rotation != random_rotation(64, 4)).mean() > 0.9


def test_sign_bits_without_a_rotation_are_refused():
    with pytest.raises(ValueError, match="need a rotation"):
        encode(unit_vectors(2), SPECS[0], None)
