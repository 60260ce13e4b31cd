#!/usr/bin/env bash
# Expect: MP3 recordings joined by `cat a.mp3 b.mp3` (how recorders and podcasts join segments; a decoder goes on at
#   the next frame) are read whole, or refused.
# Happens: soundfile (libsndfile with libmpg123) and miniaudio read the first part and raise nothing, if its header
#   counts its frames, as those of nearly all encoders do. soundfile also stops where a mono part is followed by a
#   stereo one. FFmpeg reads all.
# Meets: whoever reads such recordings: of an interview in segments only the first is heard. mrlspk reads all parts.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0 miniaudio==1.71
cd "$work"
"$work/env/bin/python" - 2> >(grep -v -e "\[src/libmpg123" -e "^Warning: Xing" >&2) <<'PYTHON'
import contextlib
import sys
from pathlib import Path

import av
import miniaudio
import numpy as np
import soundfile

RATE = 16_000
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| miniaudio", miniaudio.__version__)
changes = []


def write_mp3(path, seconds, layout, *, counted):
    samples = 0.1 * np.random.default_rng(0).normal(size=seconds * RATE)
    with av.open(path, "w", options={"write_xing": str(int(counted))}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout=layout)
        planes = np.tile((samples * 32767).astype(np.int16), (1 if layout == "mono" else 2, 1))
        frame = av.AudioFrame.from_ndarray(planes, format="s16p", layout=layout)
        frame.sample_rate = RATE
        for part in (frame, None):
            container.mux(stream.encode(part))


def ffmpeg_seconds(path):
    """Return the seconds that FFmpeg decodes; its own tools too skip the header of the second part."""
    count = 0
    with av.open(path) as container:
        for packet in container.demux(audio=0):
            with contextlib.suppress(av.error.InvalidDataError):
                count += sum(frame.samples for frame in packet.decode())
    return count / RATE


def miniaudio_seconds(path):
    decoded = miniaudio.decode_file(path)
    return len(decoded.samples) / decoded.nchannels / decoded.sample_rate


print("\n3 s and 4 s joined                    FFmpeg   soundfile   miniaudio")
for counted, second, expected in (
    (True, "mono", ("first", "first")),
    (False, "mono", ("both", "both")),
    (True, "stereo", ("first", "first")),
    (False, "stereo", ("first", "both")),
):
    write_mp3("a.mp3", 3, "mono", counted=counted)
    write_mp3("b.mp3", 4, second, counted=counted)
    Path("ab.mp3").write_bytes(Path("a.mp3").read_bytes() + Path("b.mp3").read_bytes())
    read = soundfile.read("ab.mp3")[0]
    lengths = ffmpeg_seconds("ab.mp3"), len(read) / RATE, miniaudio_seconds("ab.mp3")
    name = f"mono and {second}, {'Xing headers' if counted else 'no Xing headers'}"
    print(f"{name:34}", *(f"{each:9.2f}" for each in lengths))
    found = ["first" if 2.9 < each < 3.3 else "both" if 6.9 < each < 7.4 else "?" for each in lengths]
    if found != ["both", *expected]:
        changes.append(f"{name}: {found}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
