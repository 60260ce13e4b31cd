import logging

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel, build_front_end
from speaker_graphs import NEMO, SPEAKER_3D, WESPEAKER, speaker_graph, statistics, write_speaker_graph

NEMO_GRAPH = {
    "inputs": (("audio_signal", ("B", 80, "T")), ("length", ("B",))),
    "others": [("logits", ("B", 7))],
    "axis": 2,
}
WAVEFORM = {"inputs": (("audio", ("B", "samples")),), "output": ("vector", ("B", 2))}


def load(path, **options):
    return load_backend(ModelFile(path, path.name), **options).backend


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (3, 16_000)).astype(np.float32)


@pytest.fixture
def write(tmp_path):
    """Write a model, and beside it a YAML file if there is text for one."""

    def written(properties=None, *, text=None, **graph):
        if text is not None:
            (tmp_path / "m.yaml").write_text(text)
        return write_speaker_graph(tmp_path / "m.onnx", properties, **graph)

    return written


def test_model_embeds_the_features_that_its_metadata_mean(write, noise):
    backend = load(write(WESPEAKER))
    compute = build_front_end(KaldiFbank(window="hamming", sample_scale=32768), 16_000)
    np.testing.assert_allclose(backend.embed(noise), statistics(np.stack(list(map(compute, noise)))), atol=1e-4)
    assert (backend.dims, backend.embed_dim, backend.sample_rate, backend.min_samples) == ((160,), 160, 16_000, 1840)
    assert list(backend.runtime) == ["onnxruntime", "kaldi-native-fbank", "device", "precision"]


def test_nemo_model_reads_padded_frames_and_their_number(write, noise):
    logits = [helper.make_node("Cast", ["length"], ["whole"], to=TensorProto.FLOAT)]
    logits += [helper.make_node("Unsqueeze", ["whole", "time"], ["logits"])]
    model = speaker_graph(NEMO, **NEMO_GRAPH, nodes=logits)
    path = write(NEMO)
    model.graph.initializer[0].CopyFrom(helper.make_tensor("time", TensorProto.INT64, [1], [2]))
    model.graph.node[-1].input[1] = "second"
    model.graph.initializer.append(helper.make_tensor("second", TensorProto.INT64, [1], [1]))
    onnx.save(model, path)
    backend = load(path)
    features = np.stack(list(map(build_front_end(NemoMel(), 16_000), noise)))
    padded = np.pad(features, ((0, 0), (0, 11), (0, 0)))
    assert features.shape[1:] == (101, 80)
    np.testing.assert_allclose(backend.embed(noise), statistics(padded), atol=1e-4)
    feeds = {"audio_signal": padded.transpose(0, 2, 1), "length": np.full(3, 101)}
    np.testing.assert_array_equal(backend._session.run(["logits"], feeds)[0].ravel(), [101] * 3)


def test_yaml_describes_a_graph_that_reads_samples(write, noise):
    backend = load(write(text="front_end: waveform", **WAVEFORM))
    np.testing.assert_allclose(backend.embed(noise), statistics(noise[..., None]), atol=1e-5)
    assert backend.description.source == "m.yaml"
    assert list(backend.runtime) == ["onnxruntime", "device", "precision"]


def test_yaml_overrides_metadata_and_says_where_they_differ(write, noise, caplog):
    text = "front_end: {type: kaldi-fbank, window: povey, sample_scale: 32768, mean: none}"
    with caplog.at_level(logging.WARNING, "mrlspk.inference"):
        backend = load(write(WESPEAKER, text=text))
    assert backend.description.notes == (
        "m.yaml says window: povey, the metadata of the model (wespeaker) say hamming",
        "m.yaml says mean: none, the metadata of the model (wespeaker) say utterance",
    )
    assert all(note in caplog.text for note in backend.description.notes)
    compute = build_front_end(KaldiFbank(sample_scale=32768, mean="none"), 16_000)
    np.testing.assert_allclose(backend.embed(noise), statistics(np.stack(list(map(compute, noise)))), rtol=1e-4)


def test_yaml_mends_wrong_metadata(write):
    path = write(WESPEAKER | {"output_dim": "many"}, text="front_end: kaldi-fbank")
    assert load(path).description.notes == ("expected a whole number as output_dim in its metadata, found 'many'",)


def test_fingerprint_follows_the_file_and_the_front_end(write, tmp_path):
    first = load(write(WESPEAKER)).fingerprint
    assert load(write(WESPEAKER)).fingerprint == first
    second = load(write(WESPEAKER, text="front_end: kaldi-fbank")).fingerprint
    (tmp_path / "m.yaml").unlink()
    third = load(write(WESPEAKER | {"comment": "another file"})).fingerprint
    assert len({first, second, third}) == 3


def test_graph_of_one_recording_embeds_several_one_by_one(write, noise):
    backend = load(write(WESPEAKER, inputs=(("feats", (1, "T", 80)),)))
    assert not backend.takes_batches
    several = backend.embed(noise)
    np.testing.assert_array_equal(several, np.concatenate([backend.embed(each[None]) for each in noise]))


def test_graph_that_mixes_up_a_batch_embeds_one_by_one(write, noise):
    """A graph whose batch axis claims to be free, and that takes all recordings of a batch together."""
    mixing = [helper.make_node("ReduceMean", ["plain", "first"], ["middle"], keepdims=1)]
    mixing += [helper.make_node("Add", ["plain", "middle"], ["embs"])]
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    path = write(WESPEAKER, output=("plain", ("B", 160)), nodes=mixing, constants=[first])
    model = onnx.load(path)
    model.graph.output[0].name = "embs"
    onnx.save(model, path)
    backend = load(path)
    assert not backend.takes_batches
    np.testing.assert_array_equal(backend.embed(noise)[1], backend.embed(noise[1:2])[0])


def test_too_short_waveforms_are_refused(write, noise):
    with pytest.raises(UsageError, match="expected at least 1840 samples, got 1839"):
        load(write(WESPEAKER)).embed(noise[:, :1839])


def test_graph_that_needs_more_frames_says_so_by_its_least_samples(write):
    """The graph takes the hundredth frame, so it cannot run on fewer."""
    place = helper.make_tensor("place", TensorProto.INT64, [], [99])
    nodes = [helper.make_node("Gather", ["feats", "place"], ["late"], axis=1)]
    path = write(WESPEAKER, nodes=nodes, constants=[place], others=[("late", ("B", 80))], output=("embs", ("B", 160)))
    assert load(path).min_samples == (25 + 99 * 10) * 16


@pytest.mark.parametrize(
    ("properties", "graph", "what"),
    [
        (
            WESPEAKER | {"output_dim": "512"},
            {},
            r"expected 512 values \(output_dim in metadata\), found the output embs",
        ),
        (WESPEAKER | {"sample_rate": "8000"}, {}, "expected a model for 16000 Hz, found one for 8000 Hz"),
        (
            WESPEAKER,
            {"inputs": (("feats", ("B", "T", 64)),)},
            r"expected 80 mel bins, found feats \(B, T, 64\) float32",
        ),
        (WESPEAKER, {"inputs": (("feats", ("B", 300, 80)),)}, "reads exactly 300 values in time"),
        (
            WESPEAKER,
            {"inputs": (("feats", ("B", "T", 80)), ("speaker", ("B", 3)))},
            "expected at most an input of lengt",
        ),
        (
            SPEAKER_3D,
            {"others": [("mean", ("B", 80))], "output": ("embs", ("B", "D"))},
            "expected one output of embedd",
        ),
        (None, {"inputs": (("a", ("B", "T", 80)),)}, "whose front end nothing describes"),
    ],
)
def test_model_that_does_not_fit_its_description_is_refused(write, properties, graph, what):
    path = write(properties, **graph)
    with pytest.raises(CheckpointError, match=what) as caught:
        load(path)
    assert caught.value.where == path


def test_unknown_model_is_refused_with_the_command_to_type(write):
    path = write(None, inputs=(("a", ("B", "T", 80)),))
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert caught.value.fix == f"Type: mrlspk model describe {path}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("front_end: mfcc", "front_end: .*'kaldi-fbank', 'nemo-mel', 'waveform'"),
        (
            "front_end: {type: kaldi-fbank, window: hann}",
            "front_end.kaldi-fbank.window: expected 'hamming', 'povey'",
        ),
        ("front_end: {type: kaldi-fbank, dither: 1}", "front_end.kaldi-fbank.dither: unknown key"),
        ("front_end: {type: kaldi-fbank, sample_scale: 2}", "sample_scale: expected 1 or 32768, got 2"),
        ("input: feats", "front_end: is missing"),
        ("front_end: kaldi-fbank\ninput: audio", "has no input called audio, only feats"),
        ("front_end: kaldi-fbank\noutput: audio", "has no output called audio, only embs"),
        ("front_end: kaldi-fbank\naxes: batch, bins, time", "reads exactly 80 values in time"),
        ("front_end: kaldi-fbank\naxes: batch, time", "the axes batch, time do not fit the front end"),
        ("front_end: waveform", "the axes batch, channel, time|expected 1 channel|reads exactly 80 values"),
        ("front_end: kaldi-fbank\nembed_dim: 99", r"expected 99 values \(embed_dim in m.yaml\), found the output"),
        ("- front_end", "expected front_end: …, got"),
        ("front_end: [", "is not YAML: line 1"),
    ],
)
def test_wrong_yaml_is_refused(write, text, what):
    with pytest.raises(CheckpointError, match=what):
        load(write(WESPEAKER, text=text))


def test_graph_without_a_direction_is_refused(write):
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    path = write(WESPEAKER, nodes=[helper.make_node("Mul", ["kept", "zero"], ["embs"])], constants=[zero])
    model = onnx.load(path)
    model.graph.node[4].output[0] = "kept"
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match=r"makes no embedding of 2\.015 s: its embedding is zero or no number"):
        load(path)


def test_names_that_are_no_text_are_an_error_and_nothing_is_printed(write, capfd):
    path = write(WESPEAKER)
    path.write_bytes(path.read_bytes().replace(b"ReduceMean", b"Reduce\xff\xfean"))
    with pytest.raises(CheckpointError, match="is not a whole ONNX file"):
        load(path)
    assert capfd.readouterr() == ("", "")


def test_other_runtimes_precisions_and_devices_are_refused(write):
    path = write(WESPEAKER)
    with pytest.raises(UsageError, match="runs in ONNX Runtime only"):
        load(path, backend="openvino")
    with pytest.raises(UsageError, match="does not embed in int8"):
        load(path, precision="int8")
    with pytest.raises(MissingDependencyError, match="does not run on cuda"):
        load(path, device="cuda")
