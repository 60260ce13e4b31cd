#!/usr/bin/env bash
# Expect: reverb_rir(response, normalize_output=False) of a lhotse recording or cut is the convolution with the
#   response: a unit impulse changes nothing, and save_audio writes it to 16-bit WAV like any other cut.
# Happens: the response is first divided by 32768, so that the audio is 90 dB quieter. Kaldi, whose program it follows,
#   holds audio and responses as numbers up to 32768 and must divide; lhotse holds both within 1. Saved as 16-bit WAV
#   the cut has two values left, 1 apart. As one of two talkers in a mix it cannot be heard at all. The documentation
#   names no scale, and the output with normalize_output=True has the right level, so only those who keep the level of
#   a room (near and far talkers, early against late) meet it.
# Also: the output is shifted to the largest tap, not to the largest by size. Where the direct sound has a negative
#   sign (a microphone or a line of the other polarity) it is shifted to some later tap: the speech begins before the
#   cut, here by 100 ms, and supervisions no longer fit.
# Meets: whoever simulates rooms or meetings with lhotse without normalisation, or with measured responses.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 scipy==1.16.3 soundfile==0.14.0 urllib3==2.6.3 torch==2.9.1 lhotse==1.33.0
cd "$work"
"$work/env/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import soundfile
from lhotse import Recording
from scipy.signal import correlate, fftconvolve

RATE, DIRECT, ECHO = 16_000, 400, 2_000
print("lhotse", version("lhotse"), "| numpy", np.__version__, "| soundfile", soundfile.__version__)
changes = []
rng = np.random.default_rng(0)
audio = 0.1 * rng.standard_normal(3 * RATE)
soundfile.write("dry.wav", audio, RATE, subtype="FLOAT")
dry = Recording.from_file("dry.wav")
audio = dry.load_audio()[0].astype(np.float64)


def recording_of(name, taps):
    soundfile.write(f"{name}.wav", taps, RATE, subtype="FLOAT")
    return Recording.from_file(f"{name}.wav")


def reverberate(response, normalise):
    return dry.reverb_rir(response, normalize_output=normalise).load_audio()[0].astype(np.float64)


unit = np.eye(1, 4_000)[0]
room = np.zeros(4_000)
room[DIRECT], room[ECHO] = 0.9, 0.3

print("\nresponse       normalize_output   gain against the convolution   peak of 16-bit WAV   values in it")
for name, taps in (("unit impulse", unit), ("room", room)):
    response = recording_of(name, taps)
    right = fftconvolve(audio, taps)[taps.argmax() :][: len(audio)]
    for normalise in (True, False):
        output = reverberate(response, normalise)
        gain = output @ right / (right @ right)
        dry.to_cut().reverb_rir(response, normalize_output=normalise).save_audio("wet.wav")
        saved = soundfile.read("wet.wav", dtype="int16")[0]
        peak, values = np.abs(saved.astype(int)).max(), len(np.unique(saved))
        print(f"{name:14} {normalise!s:16} {gain:12.7f} ({20 * np.log10(gain):6.1f} dB) {peak:21} {values:14}")
        if np.corrcoef(output, right)[0, 1] < 0.999:
            changes.append(f"{name}, {normalise}: no longer the shape of the convolution")
        if not normalise and (not np.isclose(gain * 32768, 1, rtol=1e-3) or values != 2):
            changes.append(f"{name}, {normalise}: gain {gain:.7f}, {values} values in 16-bit WAV")
        if normalise and not 0.5 < gain < 2:
            changes.append(f"{name}, {normalise}: gain {gain:.7f}")

print("\nsign of the direct sound   shift of the output (ms)")
for sign, expected in ((1, 0), (-1, DIRECT - ECHO)):
    taps = np.where(np.arange(len(room)) == DIRECT, sign * room, room)
    output = reverberate(recording_of("polarity", taps), normalise=True)
    shift = int(np.abs(correlate(output, audio, method="fft")).argmax()) - (len(audio) - 1)
    print(f"{'positive' if sign > 0 else 'negative':26} {1000 * shift / RATE:8.1f}")
    if shift != expected:
        changes.append(f"sign {sign}: shifted by {shift} samples instead of {expected}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
