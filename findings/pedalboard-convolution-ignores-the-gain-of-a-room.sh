#!/usr/bin/env bash
# Expect: pedalboard.Convolution(response, mix=1.0) is the convolution with the impulse response that it is given: a
#   unit impulse changes nothing, and a response ten times weaker (a talker ten times farther off) is 20 dB quieter.
# Happens: it first scales every response to the same energy, to 1/64. A unit impulse makes the audio 18 dB quieter,
#   and near and far talkers come out equally loud. The shape is right, so that a look at the wave form shows nothing.
#   Neither its documentation nor a parameter speaks of this. With mix < 1, dry and wet are out of proportion too.
# Meets: whoever adds reverberation with it, and then noise at a level chosen for the clean recording.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 pedalboard==0.9.26
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pedalboard import Convolution

RATE = 16_000
print("pedalboard", version("pedalboard"), "| numpy", np.__version__)
changes = []
rng = np.random.default_rng(0)
audio = (0.1 * rng.standard_normal(3 * RATE)).astype(np.float32)
tail = np.exp(-np.arange(8_000) / 800) * rng.standard_normal(8_000) / 10
tail[0] = 1.0
rooms = {
    "unit impulse": np.eye(1, 64)[0],
    "unit impulse / 10": np.eye(1, 64)[0] / 10,
    "room": tail,
    "room / 10": tail / 10,
}


def gain_between(output, reference):
    """Return the factor from the reference to the output, and their correlation."""
    return output @ reference / (reference @ reference), np.corrcoef(output, reference)[0, 1]


print("\nresponse             gain against numpy.convolve   correlation   0.125 / sqrt(energy of the response)")
outputs = {}
for name, response in rooms.items():
    response = response.astype(np.float32)
    outputs[name] = Convolution(response, mix=1.0, sample_rate=RATE)(audio, RATE)
    reference = np.convolve(audio.astype(np.float64), response)[: len(audio)]
    gain, correlation = gain_between(outputs[name].astype(np.float64), reference)
    rule = 0.125 / np.sqrt((response.astype(np.float64) ** 2).sum())
    print(f"{name:20} {gain:8.4f} ({20 * np.log10(gain):6.1f} dB) {correlation:22.6f} {rule:13.4f}")
    if correlation < 0.9999:
        changes.append(f"{name}: no longer the shape of the convolution")
    if not np.isclose(gain, rule, rtol=1e-3):
        changes.append(f"{name}: gain {gain:.4f} instead of {rule:.4f}")

for near in ("unit impulse", "room"):
    difference = np.abs(outputs[near] - outputs[f"{near} / 10"]).max()
    print(f"{near}, ten times weaker: largest difference of the outputs {difference:.1e}")
    if difference > 1e-6:
        changes.append(f"{near}: near and far differ")

half = Convolution(rooms["unit impulse"].astype(np.float32), mix=0.5, sample_rate=RATE)(audio, RATE)
gain, _ = gain_between(half.astype(np.float64), audio.astype(np.float64))
print(f"unit impulse, mix=0.5: gain {gain:.4f}, where dry and wet are the same audio")
if not np.isclose(gain, 0.5625, rtol=1e-3):
    changes.append(f"mix=0.5: gain {gain:.4f}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
