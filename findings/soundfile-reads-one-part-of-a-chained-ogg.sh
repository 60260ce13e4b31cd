#!/usr/bin/env bash
# Expect: an Ogg file made of recordings one after the other ("chained": the format's own way to join, `cat a.ogg
#   b.ogg`, and what a streaming recorder writes after a break) is read whole, or refused.
# Happens: soundfile (libsndfile) counts and reads the first part alone, and raises nothing. FFmpeg reads all parts,
#   less some samples at the seam, but states the duration of the last.
# Meets: whoever reads such recordings: a speaker's embedding comes from the first part, and the rest is silently lost.
#   mrlspk reads every part.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16_000
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| av", av.__version__)
changes = []


def tone(seconds, hertz):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(seconds * RATE) / RATE)


def ffmpeg_seconds(path):
    """Return the seconds that FFmpeg decodes, and those that it states."""
    with av.open(path) as container:
        decoded = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        return decoded, container.duration / 1e6


for subtype in ("VORBIS", "OPUS"):
    soundfile.write("a.ogg", tone(3, 300), RATE, format="OGG", subtype=subtype)
    soundfile.write("b.ogg", tone(2, 900), RATE, format="OGG", subtype=subtype)
    Path("chain.ogg").write_bytes(Path("a.ogg").read_bytes() + Path("b.ogg").read_bytes())
    stated = soundfile.info("chain.ogg").duration
    samples, _ = soundfile.read("chain.ogg")
    decoded, ffmpeg_stated = ffmpeg_seconds("chain.ogg")
    print(f"\n{subtype}: 3 s and 2 s in one file")
    print(f"  soundfile states {stated:.2f} s, reads {len(samples) / RATE:.2f} s")
    print(f"  FFmpeg    states {ffmpeg_stated:.2f} s, reads {decoded:.2f} s")
    if not (stated == len(samples) / RATE == 3.0):
        changes.append(f"{subtype}: soundfile reads {len(samples) / RATE} s")
    if not 4.9 < decoded < 5.1 or not 1.9 < ffmpeg_stated < 2.1:
        changes.append(f"{subtype}: FFmpeg states {ffmpeg_stated}, reads {decoded}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
