#!/usr/bin/env bash
# Expect: soundfile clips what lies beyond full scale, whatever the coding: it asks libsndfile to clip, and 16-bit PCM,
#   FLAC and ALAC do.
# Happens: the coders of telephones (GSM 6.10, IMA, Microsoft and VOX ADPCM) take float samples modulo 2: 1.05 is
#   written as -0.95. The peaks of a loud recording change sign, without an error. FFmpeg decodes the same from the
#   file, so the fault is in the file. Samples clipped first, or given as int16, are written right.
# Meets: whoever makes telephone versions of speech with soundfile after adding noise or gain: a sum often exceeds 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

RATE, PEAK = 8_000, 1.1
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| av", av.__version__)
changes = []
seconds = np.arange(2 * RATE) / RATE
audio = PEAK * np.sin(2 * np.pi * 200 * seconds) * (0.6 + 0.4 * np.sin(2 * np.pi * seconds))
clipped = np.clip(audio, -1, 1)
as_int16 = np.clip(np.round(audio * 32768), -32768, 32767).astype(np.int16)
loud = int((np.abs(audio) > 1).sum())


def read_by_soundfile(path, form, subtype):
    raw = {"samplerate": RATE, "channels": 1, "subtype": subtype, "format": form} if form == "RAW" else {}
    return soundfile.read(path, **raw)[0]


def read_by_ffmpeg(path):
    with av.open(path) as container:
        samples = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    scale = {"int16": 2**15, "int32": 2**31}.get(str(samples.dtype), 1)
    return samples / scale


def count_turned(samples):
    """Count the samples that are more than 1 away from the clipped audio: their sign has changed."""
    size = min(len(samples), len(clipped))
    return int((np.abs(samples[:size] - clipped[:size]) > 1).sum())


print(f"\n{loud} of {len(audio)} samples are beyond full scale; how many read back with the wrong sign")
print("coding               float   by FFmpeg   clipped first   int16")
for form, subtype, wraps in (
    ("WAV", "PCM_16", False),
    ("FLAC", "PCM_16", False),
    ("CAF", "ALAC_16", False),
    ("WAV", "GSM610", True),
    ("WAV", "IMA_ADPCM", True),
    ("WAV", "MS_ADPCM", True),
    ("RAW", "VOX_ADPCM", True),
):
    path = f"audio.{form.lower()}"
    counts = []
    for samples in (audio, clipped, as_int16):
        soundfile.write(path, samples, RATE, format=form, subtype=subtype)
        counts.append(count_turned(read_by_soundfile(path, form, subtype)))
        if samples is audio:
            second = None if form == "RAW" else count_turned(read_by_ffmpeg(path))
    print(f"{form:4} {subtype:12} {counts[0]:8} {'-' if second is None else second:>11} {counts[1]:15} {counts[2]:7}")
    if (counts[0] > loud / 2) != wraps or counts[1] or counts[2] or second not in (None, counts[0]):
        changes.append(f"{form} {subtype}: {counts}, FFmpeg {second}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
