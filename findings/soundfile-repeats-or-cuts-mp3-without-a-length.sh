#!/usr/bin/env bash
# Expect: an MP3 file of variable bit rate that does not count its frames (no Xing header: what a stream recorder
#   writes) is read whole. blocks(), the way to read long files, gives the samples of read().
# Happens: soundfile (libsndfile with libmpg123) takes the length from the bit rate of the first frames. A recording
#   that begins loud loses half. One that begins with silence is announced too long: blocks() goes on after
#   the end and yields the last second again and again. Nothing is raised.
# Meets: whoever makes embeddings, durations or splits of such files: a speaker is lost, or one second outweighs a
#   minute. mrlspk decodes MP3 with FFmpeg and counts its packets.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0
cd "$work"
"$work/env/bin/python" - 2> >(grep -v "\[src/libmpg123" >&2) <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

RATE = 16_000
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| av", av.__version__)
changes = []


def write_mp3(path, samples):
    """Write variable bit rate without a Xing header."""
    with av.open(path, "w", options={"write_xing": "0"}) as container:
        quality = {"flags": "+qscale", "global_quality": "472"}
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono", options=quality)
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16p", layout="mono")
        frame.sample_rate = RATE
        for part in (frame, None):
            container.mux(stream.encode(part))


def ffmpeg_seconds(path):
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / RATE


def soundfile_seconds(path):
    """Return what soundfile states, reads at once, and reads in blocks, and how many blocks repeat the one before."""
    with soundfile.SoundFile(path) as file:
        blocks = list(file.blocks(RATE))
    repeats = sum(np.array_equal(a, b) for a, b in zip(blocks, blocks[1:]) if np.abs(b).max() > 0.1)
    lengths = soundfile.info(path).duration, len(soundfile.read(path)[0]) / RATE, sum(map(len, blocks)) / RATE
    return *lengths, repeats


noise = 0.1 * np.random.default_rng(0).normal(size=60 * RATE)
silence = np.zeros(5 * RATE)
print("\nwritten: 65 s       FFmpeg    soundfile states   read()   blocks()   seconds repeated")
recordings = {
    "loud, then quiet": np.append(noise[: len(silence)], noise / 1000),
    "silence first": np.append(silence, noise),
}
for name, samples in recordings.items():
    write_mp3("a.mp3", samples)
    decoded, (stated, read, in_blocks, repeats) = ffmpeg_seconds("a.mp3"), soundfile_seconds("a.mp3")
    print(f"{name:17} {decoded:8.2f} {stated:19.2f} {read:8.2f} {in_blocks:10.2f} {repeats:18}")
    is_as_found = read < 40 if name.startswith("loud") else (64 < read < 66 and in_blocks > 100 and repeats > 30)
    if not (64 < decoded < 66 and is_as_found):
        changes.append(f"{name}: FFmpeg {decoded}, read {read}, blocks {in_blocks}, repeats {repeats}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
