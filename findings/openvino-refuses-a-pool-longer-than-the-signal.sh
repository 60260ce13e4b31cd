#!/usr/bin/env bash
# Expect: an average over windows of 100 frames, rounded up (ceil_mode), takes what there is at the end of a signal, and
#   of 60 frames their mean: ONNX Runtime does, and OpenVINO too in the last window of 130 frames.
# Happens: of a signal shorter than one window OpenVINO computes nothing: it raises an error when the graph runs. The
#   graph is read and compiled without a word, since its time axis is open.
# Meets: CAM++ (3D-Speaker) pools over segments of 100 frames behind a stride of 2, so that in OpenVINO every recording
#   under two seconds fails. mrlspk rewrites such a pool for OpenVINO.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 onnx==1.19.1 onnxruntime==1.23.2 openvino==2026.4.1
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

print(*(f"{name} {version(name)}" for name in ("openvino", "onnxruntime")), sep=" | ")
changes = []
pool = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[100], strides=[100], ceil_mode=1)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, time]) for name, time in (("x", "t"), ("y", "s"))]
graph = helper.make_graph([pool], "pool", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
session = onnxruntime.InferenceSession(model)
core = openvino.Core()
compiled = core.compile_model(core.read_model(model), "CPU")


def expect(holds, what):
    if not holds:
        changes.append(what)


for frames in (60, 99, 100, 130):
    signal = np.random.default_rng(0).standard_normal((1, 4, frames)).astype(np.float32)
    segments = [signal[..., at : at + 100].mean(-1) for at in range(0, frames, 100)]
    means = np.stack(segments, -1)
    found = session.run(None, {"x": signal})[0]
    expect(found.shape == means.shape and np.allclose(found, means, atol=1e-6), f"ONNX Runtime at {frames} frames")
    try:
        other = compiled([signal])[0]
    except RuntimeError as error:
        said = str(error).strip().splitlines()[-1]
        print(f"{frames} frames: ONNX Runtime has {means.shape[-1]} mean(s); OpenVINO raises: {said}")
        expect(frames < 100, f"OpenVINO raises at {frames} frames")
    else:
        print(f"{frames} frames: both have {means.shape[-1]} mean(s)")
        expect(frames >= 100 and np.allclose(other, means, atol=1e-6), f"OpenVINO computes at {frames} frames")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
