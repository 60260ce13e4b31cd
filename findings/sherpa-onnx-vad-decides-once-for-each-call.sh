#!/usr/bin/env bash
# Expect: the segments of sherpa-onnx's VoiceActivityDetector do not depend on how the recording is cut for
#   accept_waveform: it has a buffer, and its model sees windows of 512 samples in any case.
# Happens: all windows of one call together count as speech or as silence. Pauses within a call are lost, a beginning
#   is looked for just before the end of its call, so that speech at the start of a call is cut off, and of a recording
#   given whole the last 0.32 s come back as the only segment. Nothing is raised. Calls of 512 samples are right.
# Meets: whoever finds speech before embedding it and passes the samples of a file, or a sound card's blocks of one
#   second. The model here has Silero's inputs and outputs and calls loud windows speech; Silero's own fares alike.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 sherpa-onnx==2.0.1 onnx==1.23.2
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import sherpa_onnx
from onnx import TensorProto, helper, numpy_helper

RATE, SECONDS = 16_000, 20
TALK = [(2, 4), (6, 8), (10, 12), (14, 16)]
print("sherpa-onnx", version("sherpa-onnx"))
changes = []


def write_loudness_model(path):
    """Write a model with Silero's inputs and outputs whose speech probability is the power times 1000, at most 1."""
    inputs = [("input", TensorProto.FLOAT, [None, None]), ("state", TensorProto.FLOAT, [2, None, 128])]
    outputs = [("output", TensorProto.FLOAT, [None, 1]), ("stateN", TensorProto.FLOAT, [2, None, 128])]
    numbers = {"scale": 1000, "least": 0, "most": 1}
    nodes = [
        helper.make_node("Mul", ["input", "input"], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["power"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["power", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "least", "most"], ["output"]),
        helper.make_node("Identity", ["state"], ["stateN"]),
    ]
    graph = helper.make_graph(
        nodes,
        "loudness",
        [helper.make_tensor_value_info(*each) for each in [*inputs, ("sr", TensorProto.INT64, [])]],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(np.float32(value), name) for name, value in numbers.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)


def find_speech(samples, size):
    """Return the segments in seconds of samples that come ``size`` at a time."""
    config = sherpa_onnx.VadModelConfig()
    config.silero_vad.model, config.sample_rate = "loudness.onnx", RATE
    detector = sherpa_onnx.VoiceActivityDetector(config, buffer_size_in_seconds=60)
    for start in range(0, len(samples), size):
        detector.accept_waveform(samples[start : start + size])
    detector.flush()
    segments = []
    while not detector.empty():
        start = detector.front.start
        segments.append((start / RATE, (start + len(detector.front.samples)) / RATE))
        detector.pop()
    return segments


def lost_and_kept(segments):
    """Return the share of the talk that no segment holds, and the seconds of silence in the segments."""
    seconds = (np.arange(SECONDS * 1000) + 0.5) / 1000
    talk, found = (np.any([(seconds > a) & (seconds < b) for a, b in each], axis=0) for each in (TALK, segments))
    return np.sum(talk & ~found) / np.sum(talk), np.sum(found & ~talk) / 1000


write_loudness_model("loudness.onnx")
samples = np.random.default_rng(0).standard_normal(SECONDS * RATE).astype(np.float32) * np.float32(1e-4)
for first, last in TALK:
    samples[first * RATE : last * RATE] += 0.3 * np.sin(np.arange((last - first) * RATE)).astype(np.float32)
print("talk:", TALK)
for size, count, least_lost, most_lost in (
    (512, 4, 0, 0),
    (RATE, 4, 0.3, 0.4),
    (3 * RATE, 1, 0, 0.1),
    (len(samples), 1, 1, 1),
):
    segments = find_speech(samples, size)
    lost, silence = lost_and_kept(segments)
    shown = ", ".join(f"{a:.2f}-{b:.2f}" for a, b in segments)
    print(f"{size:6} samples a call: {shown}; {lost:.0%} of the talk lost, {silence:.1f} s of silence kept")
    if len(segments) != count or not least_lost <= lost <= most_lost:
        changes.append(f"{size} samples a call: {count} segments, {least_lost:.0%} to {most_lost:.0%} lost expected")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
