import numpy as np
import pytest
import torch

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.errors import DataError
from mrlspk.feature_store.pooling import as_stored, pooling_function
from mrlspk.models.encoder import build_encoder

TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), 4),))
NAMES = ["a.wav", "b.wav"]


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(describe_architecture(TINY, (4, 8)))


def test_vectors_are_the_encoders_own_in_evaluation_mode(encoder):
    waveforms = torch.randn(3, 4000)
    encoder.train()
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    found = pooling_function(encoder, precision="fp32")(waveforms)
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())
    assert not any(module.training for part in (encoder.backbone, encoder.pool) for module in part.modules())
    assert torch.equal(found, encoder.eval().pooled(waveforms))


def test_half_precision_is_that_of_autocast(encoder):
    waveforms = torch.randn(3, 4000)
    found = pooling_function(encoder, precision="bf16")(waveforms)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(found, encoder.pooled(waveforms))
    assert found.dtype == torch.float32
    assert not torch.equal(found, pooling_function(encoder, precision="fp32")(waveforms))


def test_float16_rounds_and_float32_does_not():
    vectors = torch.tensor([[1 / 3, 65504.0], [2**-24, -1.0]])  # the largest and the smallest of float16 among them
    assert np.array_equal(as_stored(vectors, NAMES, dtype="float32"), vectors.numpy())
    halves = as_stored(vectors, NAMES, dtype="float16")
    assert halves.dtype == np.float16
    assert halves.tolist() == [[1365 / 4096, 65504.0], [2**-24, -1.0]]  # 11 bits of a third


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_vector_that_is_not_finite_names_its_file(value, dtype):
    with pytest.raises(DataError, match="its pooled vector is not finite") as caught:
        as_stored(torch.tensor([[1.0, 2.0], [1.0, value]]), NAMES, dtype=dtype)
    assert caught.value.where == NAMES[1]


def test_a_value_beyond_float16_names_its_file_and_the_remedy():
    vectors = torch.tensor([[1.0, -70_000.0], [1.0, 2.0]])
    with pytest.raises(DataError, match="beyond float16: the largest value is 70000") as caught:
        as_stored(vectors, NAMES, dtype="float16")
    assert caught.value.where == NAMES[0]
    assert "float32" in caught.value.fix
    assert as_stored(vectors, NAMES, dtype="float32").shape == (2, 2)
