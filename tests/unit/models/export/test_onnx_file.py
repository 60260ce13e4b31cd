"""ONNX files against the encoders that they were written from."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from conformance.reference import read_reference, write_published
from mrlspk.models.checkpoints import load_model
from mrlspk.models.export.onnx_file import write_onnx
from mrlspk.models.graph_metadata import GraphMetadata, check_signal, read_metadata

NAMES = (
    "redimnet-b0",
    "redimnet-opt-fc-tfmel-mqmha",  # front end as in TensorFlow, two queries
    "redimnet2-opt-freqpos-pt",  # band embeddings, skipped frames
    "redimnet2-more-kernels-tstp-2d",  # several kernel sizes
)
REFUSED = errors.InvalidArgument, errors.RuntimeException, errors.Fail
TOLERANCE = 2e-5  # of unit vectors


@pytest.fixture(scope="module", params=NAMES)
def encoder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "model.pt"
    write_published(read_reference(request.param), path)
    return load_model(path).encoder


def written(encoder, path, **changes):
    """Write the file, and return a session of it."""
    metadata = GraphMetadata(
        dims=encoder.dims,
        sample_rate=16_000,
        min_samples=encoder.min_samples,
        fingerprint="abc",
        family="redimnet",
        licence="MIT",
        **changes,
    )
    write_onnx(encoder, path, metadata)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(path, options)


@pytest.fixture(scope="module")
def graph(encoder, tmp_path_factory):
    """The file of a graph that reads waveforms, and a session of it."""
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    return path, written(encoder, path)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_graph_names_the_values_between_its_parts(graph):
    model = onnx.load(graph[0])
    readers = [node.name for node in model.graph.node if "features" in node.input]
    assert readers
    assert all(name.startswith("/backbone/") for name in readers)
    (maker,) = [node.name for node in model.graph.node if "features" in node.output]
    assert maker.startswith("/features/")
    (maker,) = [node.name for node in model.graph.node if "frames" in node.output]
    assert maker.startswith("/backbone/")


def test_graph_gives_the_embeddings_of_pytorch(encoder, graph):
    path, session = graph
    assert [each.name for each in path.parent.iterdir()] == ["model.onnx"]
    for n_samples in (encoder.min_samples, 4_800, 16_037):
        waveforms = np.stack([check_signal(n_samples + shift)[shift:] for shift in range(5)])
        for batch in (1, 5):
            with torch.inference_mode():
                expected = encoder(torch.from_numpy(waveforms[:batch])).numpy()
            found = session.run(["embedding"], {"waveform": waveforms[:batch]})[0]
            assert unit(found) == pytest.approx(unit(expected), abs=TOLERANCE)


def test_graph_of_features_gives_the_embeddings_of_pytorch(encoder, tmp_path):
    session = written(encoder, tmp_path / "model.onnx", input="features")
    waveform = torch.from_numpy(check_signal(20_000))[None]
    with torch.inference_mode():
        features, expected = encoder.features(waveform).numpy(), encoder(waveform).numpy()
    found = session.run(["embedding"], {"features": features})[0]
    assert unit(found) == pytest.approx(unit(expected), abs=TOLERANCE)


def test_file_describes_itself(encoder, graph):
    path, session = graph
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map)
    assert (metadata.dims, metadata.fingerprint, metadata.licence) == (encoder.dims, "abc", "MIT")
    assert [check.n_samples for check in metadata.graph_checks] == [4_800, 16_000]
    for check in metadata.graph_checks:
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(check_signal(check.n_samples))[None])[0].numpy()
        assert check.embedding == pytest.approx(expected, abs=1e-5)
    (waveform,) = onnx.load(path).graph.input
    assert [axis.dim_param for axis in waveform.type.tensor_type.shape.dim] == ["batch", "samples"]


def test_runtime_adds_streams_in_its_convolutions(graph, tmp_path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(graph[0], options)
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    terms = [node for node in nodes if node.op_type == "Conv" and "/terms." in node.name]
    sums = {node.name.split("/terms.")[0] for node in terms}
    assert sums
    # The fourth input of a convolution is added to its output; the first term of a sum has none.
    assert sum(len(node.input) == 4 for node in terms) == len(terms) - len(sums)


def test_too_short_waveform_is_refused_or_finite(graph):
    session, n_refused = graph[1], 0
    for n_samples in (1, 160, 256):
        try:
            assert np.isfinite(session.run(None, {"waveform": check_signal(n_samples)[None]})[0]).all()
        except REFUSED:
            n_refused += 1
    assert n_refused >= 1
