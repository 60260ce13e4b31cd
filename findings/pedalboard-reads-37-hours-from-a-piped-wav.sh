#!/usr/bin/env bash
# Expect: WAV written to a pipe (its size is 0xFFFFFFFF or 0x7FFFF000, since the program cannot go back to fill it in)
#   ends where its samples end: soundfile, FFmpeg, scipy and Praat read it so.
# Happens: pedalboard states 37 hours (or 18), and reads them: after the samples come zeros for as long as one asks,
#   without an end or an error.
# Meets: whoever reads the output of ffmpeg, sox or arecord: a loop until the end gets hours of silence, and reading
#   the whole file takes 8 GB. mrlspk reads such files to their end.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0 pedalboard==0.9.26
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import struct
import sys
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import soundfile
from pedalboard.io import AudioFile

RATE, SECONDS = 16_000, 4
print("pedalboard", version("pedalboard"), "| soundfile", soundfile.__version__, "| av", av.__version__)
changes = []
noise = (0.1 * np.random.default_rng(0).normal(size=SECONDS * RATE)).astype(np.float32)
soundfile.write("whole.wav", noise, RATE, subtype="PCM_16")
whole = Path("whole.wav").read_bytes()


def ffmpeg_seconds(path):
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / RATE


print("\nsize in the header   soundfile   FFmpeg   pedalboard states   a minute read at 4 s")
for size in (len(whole) - 44, 0x7FFFF000, 0xFFFFFFFF):
    riff = struct.pack("<I", min(size + 36, 0xFFFFFFFF))
    Path("a.wav").write_bytes(whole[:4] + riff + whole[8:40] + struct.pack("<I", size) + whole[44:])
    by_soundfile, by_ffmpeg = len(soundfile.read("a.wav")[0]) / RATE, ffmpeg_seconds("a.wav")
    with AudioFile("a.wav") as file:
        stated = file.frames / RATE
        file.seek(SECONDS * RATE)
        beyond = file.read(60 * RATE)
    zeros = beyond.shape[-1] / RATE
    print(f"{size:#18x} {by_soundfile:9.2f} s {by_ffmpeg:6.2f} s {stated / 3600:15.4f} h {zeros:12.0f} s of zeros")
    if by_soundfile != SECONDS or by_ffmpeg != SECONDS or beyond.any():
        changes.append(f"{size:#x}: soundfile {by_soundfile}, FFmpeg {by_ffmpeg}, or sound behind the end")
    if size > len(whole) and not (stated > 15 * 3600 and zeros == 60):
        changes.append(f"{size:#x}: pedalboard states {stated} s and reads {zeros} s behind the end")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
