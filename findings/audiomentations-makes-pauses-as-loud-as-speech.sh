#!/usr/bin/env bash
# Expect: audiomentations' ApplyImpulseResponse is the convolution with the response: a unit impulse changes nothing,
#   and quiet audio stays quiet.
# Happens: it scales every result so that its peak is half of full scale, whatever the level of the audio and of the
#   response. A pause at -86 dB becomes as loud as speech, a Gain before it in a Compose has no effect, and a recording
#   given in windows of 1 s has another factor in each of them. No parameter keeps the level,
#   and the documentation does not speak of it.
# Meets: whoever trains on short windows, of which some are pauses, or varies the level before the room.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 scipy==1.16.3 soundfile==0.14.0 audiomentations==0.43.1
cd "$work"
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import soundfile
from audiomentations import ApplyImpulseResponse, Compose, Gain

RATE, FULL_PEAK = 16_000, 0.5
print("audiomentations", version("audiomentations"), "| numpy", np.__version__)
changes = []
rng = np.random.default_rng(0)
loud = np.repeat([1.0, 0.001, 0.3, 0.0001], RATE)  # speech, a pause, quieter speech, another pause
audio = (0.05 * loud * rng.standard_normal(len(loud))).astype(np.float32)
room = np.exp(-np.arange(4_000) / 800) * rng.standard_normal(4_000) / 10
room[0] = 1.0


def level(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


for name, taps in (("unit impulse", np.eye(1, 64)[0]), ("room", room)):
    soundfile.write(f"{name}.wav", taps, RATE, subtype="FLOAT")
    reverberate = ApplyImpulseResponse(f"{name}.wav", p=1.0)
    print(f"\n{name}\nwindow   level before   level after (dB)   convolution   peak after")
    for index in range(4):
        window = audio[index * RATE : (index + 1) * RATE]
        output = reverberate(window, RATE)
        right = np.convolve(window.astype(np.float64), taps)[: len(window)]
        peak = np.abs(output).max()
        print(f"{index:6} {level(window):14.1f} {level(output):18.1f} {level(right):13.1f} {peak:12.4f}")
        if np.corrcoef(output, right)[0, 1] < 0.9999:
            changes.append(f"{name}, window {index}: no longer the shape of the convolution")
        if not np.isclose(peak, FULL_PEAK, rtol=1e-3):
            changes.append(f"{name}, window {index}: peak {peak:.4f}")
    first = audio[:RATE]
    quieter = Compose([Gain(min_gain_db=-40, max_gain_db=-39.999, p=1.0), reverberate])(first, RATE)
    difference = np.abs(quieter - reverberate(first, RATE)).max()
    print(f"40 dB quieter before: largest difference of the outputs {difference:.1e}")
    if difference > 1e-5:
        changes.append(f"{name}: a gain before it has an effect")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
