import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from mrlspk.inference.one_graph.front_end_nodes import add_front_end
from mrlspk.inference.one_graph.nodes import Nodes
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel, Waveform, build_front_end

RATE = 16_000
KALDI = {
    "povey": KaldiFbank(mean="none"),
    "hamming": KaldiFbank(window="hamming", sample_scale=32768, mean="none"),
    "hanning": KaldiFbank(window="hanning", mean="none", bins=40),
    "rectangular": KaldiFbank(window="rectangular", mean="none"),
    "mean": KaldiFbank(),
    "mirrored": KaldiFbank(mean="none", snip_edges=False),
    "edges": KaldiFbank(low_hz=100, high_hz=7600, mean="none"),
}


def open_front_end(front_end, opset=11):
    """Return a front end as a function that ONNX Runtime computes."""
    nodes = Nodes("test")
    output = add_front_end(nodes, front_end, "waveform", RATE)
    signal = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])
    axes = 2 if isinstance(front_end, Waveform) else 3
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * axes)
    graph = helper.make_graph(nodes.nodes, "front_end", [signal], [value], nodes.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return lambda waveforms: session.run(None, {"waveform": waveforms})[0]


@pytest.fixture(scope="module")
def noise():
    """Two recordings with an offset, like a cheap microphone's; silence ends the second."""
    waveforms = np.random.default_rng(0).normal(0.02, 0.1, (2, 8_037)).astype(np.float32)
    waveforms[1, 5_000:] = 0
    return waveforms


def expected(front_end, waveforms):
    return np.stack([build_front_end(front_end, RATE)(waveform) for waveform in waveforms])


@pytest.mark.parametrize("name", KALDI)
@pytest.mark.parametrize("n_samples", [400, 720, 8_037])
def test_graph_computes_filter_banks_as_kaldi_native_fbank(name, n_samples, noise):
    waveforms = noise[:, -n_samples:] if n_samples < 8_037 else noise
    reference = expected(KALDI[name], waveforms)
    found = open_front_end(KALDI[name])(waveforms)
    assert found.shape == reference.shape
    np.testing.assert_allclose(found, reference, atol=2e-3)


def test_offset_costs_weak_bins_no_digits(noise):
    muffled = np.apply_along_axis(np.convolve, 1, noise, np.hanning(20) / 10, "same").astype(np.float32) + 0.5
    found, reference = open_front_end(KALDI["hamming"])(muffled[:1]), expected(KALDI["hamming"], muffled[:1])
    assert np.ptp(reference) > 15  # some bins are weak
    np.testing.assert_allclose(found, reference, atol=1e-3)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_operators_mean_the_same_in_every_opset(opset, noise):
    front_end = KaldiFbank(snip_edges=False)
    np.testing.assert_allclose(open_front_end(front_end, opset)(noise), expected(front_end, noise), atol=2e-3)


@pytest.mark.parametrize(
    "front_end",
    [NemoMel(), NemoMel(normalise="none"), NemoMel(bins=64, window_ms=20, stride_ms=8)],
    ids=["default", "plain", "other"],
)
@pytest.mark.parametrize("n_samples", [320, 8_000, 8_037])
def test_graph_computes_nemo_features_as_numpy(front_end, n_samples, noise):
    waveforms = noise[:1, :n_samples]
    found, reference = open_front_end(front_end)(waveforms), expected(front_end, waveforms)
    assert found.shape == reference.shape
    np.testing.assert_allclose(found, reference, atol=2e-3)


def test_samples_are_scaled(noise):
    np.testing.assert_array_equal(open_front_end(Waveform(sample_scale=32768))(noise), noise * 32768)
