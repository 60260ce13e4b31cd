#!/usr/bin/env bash
# Expect: soundfile reads the samples of a GSM 6.10 WAV file, rounded up to whole blocks of 320, as FFmpeg does.
# Happens: where the number of blocks is odd, it reads one block more than the file has. A block is 65 bytes, so an odd
#   number of them needs the pad byte of RIFF; libsndfile takes that byte for a block of its own. The 40 ms are a click
#   or a burst of noise, louder than the speech before it (and there after silence too), and are counted in the length
#   (info, frames, blocks). FFmpeg reads the right samples from the same file, and libsndfile adds the burst to the
#   file that FFmpeg copies too, so the fault is in the reader. The data chunk and the fact chunk are right.
# Meets: whoever reads GSM voice mail, or makes GSM versions of speech with soundfile: half of all lengths. A level or
#   a peak of the whole recording is that of the burst.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 av==15.1.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import struct
import sys

import av
import numpy as np
import soundfile

RATE, BLOCK, BYTES = 8_000, 320, 65
print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| av", av.__version__)
changes = []


def data_size(path):
    content = open(path, "rb").read()
    return struct.unpack("<I", content[content.index(b"data") + 4 :][:4])[0]


def read_by_ffmpeg(path):
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / 32768


def copy_by_ffmpeg(source, target):
    with av.open(source) as old, av.open(target, "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def check(right, what):
    if not right:
        changes.append(what)


rng = np.random.default_rng(0)
voice = 0.1 * np.sin(2 * np.pi * 300 * np.arange(20 * BLOCK * 4) / RATE)
noise = 0.05 * rng.standard_normal(len(voice))
print("\naudio     written   blocks in data   FFmpeg   soundfile   copied by FFmpeg   peak before   peak of the rest")
for name, audio in (("voice", voice), ("noise", noise), ("silence", np.zeros(len(voice)))):
    for blocks in (49, 50, 51, 52):
        count = blocks * BLOCK - 100
        soundfile.write("audio.wav", audio[:count], RATE, subtype="GSM610")
        copy_by_ffmpeg("audio.wav", "copy.wav")
        samples, reference = soundfile.read("audio.wav")[0], read_by_ffmpeg("audio.wav")
        copied = soundfile.read("copy.wav")[0]
        before, more = np.abs(reference).max(), np.abs(samples[len(reference) :]).max(initial=0)
        size = data_size("audio.wav") / BYTES
        print(
            f"{name:8} {count:8} {size:16} {len(reference):8} {len(samples):11} {len(copied):18}"
            f" {before:13.4f} {more:14.4f}"
        )
        check(size == blocks, f"{name}, {count}: the data chunk has {size} blocks")
        check(len(reference) == blocks * BLOCK, f"{name}, {count}: FFmpeg reads {len(reference)}")
        check(np.array_equal(samples[: len(reference)], reference), f"{name}, {count}: FFmpeg decodes otherwise")
        extra = BLOCK * (blocks % 2)
        for reader, seen in (("soundfile", len(samples)), ("soundfile, of the copy", len(copied))):
            check(seen == len(reference) + extra, f"{name}, {count}: {reader} reads {seen}")
        check(soundfile.info("audio.wav").frames == len(samples), f"{name}, {count}: info differs from read")
        check(not extra or more > 0.03, f"{name}, {count}: the peak of what is more is {more:.4f}")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
