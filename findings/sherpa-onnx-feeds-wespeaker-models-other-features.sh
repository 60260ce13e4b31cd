#!/usr/bin/env bash
# Expect: sherpa-onnx, given a model marked as WeSpeaker's (framework=wespeaker), computes WeSpeaker's features: Hamming
#   window, filters up to 8 kHz, whole frames only, and the mean of each bin taken away, as WeSpeaker trains and infers.
# Happens: it uses a Povey window, filters up to 7.6 kHz and frames padded at both ends for every model, and takes the
#   mean away only if the metadata say feature_normalize_type=global-mean, which the script it offers for WeSpeaker's
#   models does not write. A louder recording then has other features, and the filters' centres move by up to 380 Hz.
# Meets: whoever compares vectors of one WeSpeaker file made by sherpa-onnx with those made by WeSpeaker, or moves a
#   threshold from one to the other: the same recording gives two vectors. A model that returns its features shows it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 sherpa-onnx==2.0.1 kaldi-native-fbank==1.23.0 onnx==1.23.2
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import kaldi_native_fbank as knf
import numpy as np
import onnx
import sherpa_onnx
from onnx import TensorProto, helper

RATE, QUIET = 16_000, np.float32(0.01)
print("sherpa-onnx", version("sherpa-onnx"), "| kaldi-native-fbank", version("kaldi-native-fbank"))
changes = []


def expect(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        changes.append(f"{what}: {expected} expected")


def write_model(path, **more):
    """Write a model whose embedding is the mean of its features over time."""
    frames = helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", 80])
    mean = helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", 80])
    node = helper.make_node("ReduceMean", ["feats"], ["embs"], axes=[1], keepdims=0)
    model = helper.make_model(
        helper.make_graph([node], "mean", [frames], [mean]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    metadata = {"framework": "wespeaker", "language": "English", "url": "-", "comment": "-", "sample_rate": "16000"}
    helper.set_model_props(model, metadata | {"output_dim": "80", "normalize_samples": "0"} | more)
    onnx.save(model, path)


def by_sherpa(path, samples):
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=path))
    stream = extractor.create_stream()
    stream.accept_waveform(RATE, samples)
    stream.input_finished()
    return np.array(extractor.compute(stream))


def by_kaldi(samples, window, high, whole):
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = window
    options.frame_opts.snip_edges = whole
    options.mel_opts.num_bins = 80
    options.mel_opts.high_freq = high
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE, samples * 32_768)
    fbank.input_finished()
    return np.mean([fbank.get_frame(each) for each in range(fbank.num_frames_ready)], axis=0)


rng = np.random.default_rng(0)
noise = (rng.standard_normal(2 * RATE) * 0.1).astype(np.float32)
write_model("plain.onnx")
seen = by_sherpa("plain.onnx", noise)
print("\nlargest distance of its mean log energies from Kaldi's features")
for window in ("povey", "hamming"):
    for high, whole in ((7_600, False), (7_600, True), (8_000, False), (8_000, True)):
        distance = np.abs(seen - by_kaldi(noise, window, high, whole)).max()
        frames = "whole frames" if whole else "padded frames"
        same = (window, high, whole) == ("povey", 7_600, False)
        expect(f"{window}, {high} Hz, {frames}: {distance:.3f}, the same", bool(distance < 1e-3), same)

seconds = np.arange(2 * RATE) / RATE
tone = (noise * QUIET + 0.2 * np.sin(2 * np.pi * 7_800 * seconds)).astype(np.float32)
rise = by_sherpa("plain.onnx", tone)[-1] - by_sherpa("plain.onnx", noise * QUIET)[-1]
true = (by_kaldi(tone, "hamming", 8_000, True) - by_kaldi(noise * QUIET, "hamming", 8_000, True))[-1]
print(f"\na tone of 7.8 kHz lifts the last bin by {rise:.1f} instead of {true:.1f}")
expect("it is mostly lost", bool(rise < true / 3), True)

print()
write_model("mean.onnx", feature_normalize_type="global-mean")
for path, expected in (("plain.onnx", 1.39), ("mean.onnx", 0.0)):
    louder = by_sherpa(path, 2 * noise) - by_sherpa(path, noise)
    expect(f"{path}: twice as loud raises the features by", abs(round(float(louder.mean()), 2)), expected)

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
