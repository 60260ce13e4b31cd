from pathlib import Path

import pytest

from mrlspk.errors import CheckpointError
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel
from mrlspk.inference.speaker_models.graph_ports import read_ports
from mrlspk.inference.speaker_models.recognition import recognise
from speaker_graphs import NEMO, SPEAKER_3D, WESPEAKER, speaker_graph

PATH = Path("m.onnx")
NEMO_INPUTS = (("audio_signal", ("B", 80, "T")), ("length", ("B",)))


def found(properties=None, **graph):
    return recognise(properties or {}, read_ports(speaker_graph(**graph)), PATH)


def test_wespeaker_is_hamming_with_samples_of_16_bits_and_a_mean():
    recognised = found(WESPEAKER)
    assert (recognised.framework, recognised.source) == ("wespeaker", "metadata")
    assert recognised.settings.front_end == KaldiFbank(window="hamming", sample_scale=32768, mean="utterance")
    assert recognised.settings.embed_dim == 160


def test_3d_speaker_is_povey_with_samples_in_one_and_a_mean():
    recognised = found(SPEAKER_3D)
    assert recognised.framework == "3d-speaker"
    assert recognised.settings.front_end == KaldiFbank(window="povey", sample_scale=1, mean="utterance")


def test_nemo_takes_sizes_and_normalisation_from_its_metadata():
    changed = {"window_size_ms": "20", "feat_dim": "64", "feature_normalize_type": ""}
    assert found(NEMO).settings.front_end == NemoMel()
    assert found(NEMO | changed).settings.front_end == NemoMel(window_ms=20, bins=64, normalise="none")
    assert found(NEMO).settings.output == "embs"


def test_metadata_decide_on_the_sample_scale():
    assert found(WESPEAKER | {"normalize_samples": "1"}).settings.front_end.sample_scale == 1
    without = {key: value for key, value in WESPEAKER.items() if key != "normalize_samples"}
    assert found(without).settings.front_end.sample_scale == 32768


@pytest.mark.parametrize(
    ("graph", "framework"),
    [
        ({}, "wespeaker"),
        ({"inputs": (("feature", ("b", "t", 80)),), "output": ("embedding", ("b", 160))}, "3d-speaker"),
        (
            {"inputs": NEMO_INPUTS, "others": [("logits", ("B", 9))], "output": ("embs", ("B", 160)), "axis": 2},
            "nemo",
        ),
    ],
)
def test_exports_without_metadata_are_recognised_by_their_names(graph, framework):
    recognised = found(**graph)
    assert (recognised.framework, recognised.source) == (framework, "names")


@pytest.mark.parametrize("graph", [{"inputs": (("x", ("N", "T", 80)),)}, {"output": ("embedding", ("B", 160))}])
def test_other_names_are_not_recognised(graph):
    assert found(**graph) is None


def test_another_framework_is_not_recognised_by_its_names():
    assert found({"framework": "espnet"}) is None


@pytest.mark.parametrize(
    ("properties", "key", "value", "expected"),
    [
        (WESPEAKER, "normalize_samples", "2", "expected 0 or 1 as normalize_samples in its metadata, found '2'"),
        (WESPEAKER, "normalize_samples", "yes", "expected a whole number as normalize_samples in its metadata"),
        (WESPEAKER, "output_dim", "-256", "expected a whole number as output_dim in its metadata, found '-256'"),
        (WESPEAKER, "output_dim", "999999", "expected a width of an embedding as output_dim"),
        (WESPEAKER, "sample_rate", "16k", "expected a whole number as sample_rate in its metadata, found '16k'"),
        (SPEAKER_3D, "feature_normalize_type", "per_feature", "expected global-mean as feature_normalize_type"),
        (NEMO, "feature_normalize_type", "all_features", "expected per_feature as feature_normalize_type"),
        (NEMO, "window_type", "hamming", "expected hann as window_type in its metadata, found 'hamming'"),
        (NEMO, "feat_dim", "0", "expected a size that a front end can have as feat_dim"),
        (NEMO, "window_size_ms", "4000", "expected a size that a front end can have as window_size_ms"),
    ],
)
def test_metadata_that_cannot_be_are_refused(properties, key, value, expected):
    with pytest.raises(CheckpointError, match=expected) as caught:
        found(properties | {key: value})
    assert caught.value.where == PATH
