#!/usr/bin/env bash
# Expect: a WAV file of 32-bit float samples is read by pydub, or refused.
# Happens: pydub looks at the format tag alone. Tag 3 (float) it leaves to FFmpeg. Float of three channels or more, of
#   96 kHz, or in RF64 (files over 4 GiB) stands under the tag "extensible", and pydub takes that for integers: it reads
#   the bits of each float as one. Signs stay, but loudness is lost: a sample of 0.001 becomes 0.46, one of 0.5 becomes
#   0.49. Rate, length and channels are right and nothing is raised, so that a network gets a strange, loud voice.
#   Extensible mu-law is read as its codes.
# Meets: whoever takes a microphone out of an array recording, or cuts long or high-rate float recordings, with pydub.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 pydub==0.25.1 soundfile==0.14.0 av==15.1.0 \
    'audioop-lts==0.2.2; python_version >= "3.13"'
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import soundfile
from pydub import AudioSegment

RATE = 16_000
print("pydub", version("pydub"), "| av", av.__version__, "| soundfile", soundfile.__version__)
changes = []
seconds = np.arange(2 * RATE) / RATE
audio = (0.3 * np.sin(2 * np.pi * 200 * seconds) * np.exp(-3 * seconds)).astype(np.float32)


def write_by_ffmpeg(path, codec, rate, layout):
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        planes = np.tile(audio, (len(av.AudioLayout(layout).channels), 1))
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = rate
        form = {"pcm_s16le": "s16", "pcm_s32le": "s32", "pcm_f32le": "flt"}[codec]
        for converted in av.AudioResampler(format=form, layout=layout, rate=rate).resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))


def write_by_soundfile(path, form, subtype):
    soundfile.write(path, audio, RATE, format=form, subtype=subtype)


def read_by_pydub(path):
    segment = AudioSegment.from_file(path)
    samples = np.array(segment.get_array_of_samples()).reshape(-1, segment.channels)
    return samples / (1 << (8 * segment.sample_width - 1)), segment.frame_rate


print("\nwriter and format               tag    shape by pydub   its level   true level   correlation")
for name, write, options, is_misread in (
    ("FFmpeg, 4 channels, 16 bit", write_by_ffmpeg, ("pcm_s16le", RATE, "4.0"), False),
    ("FFmpeg, 4 channels, 32 bit", write_by_ffmpeg, ("pcm_s32le", RATE, "4.0"), False),
    ("FFmpeg, 4 channels, float", write_by_ffmpeg, ("pcm_f32le", RATE, "4.0"), True),
    ("FFmpeg, 96 kHz, float", write_by_ffmpeg, ("pcm_f32le", 96_000, "mono"), True),
    ("soundfile, RF64, 24 bit", write_by_soundfile, ("RF64", "PCM_24"), False),
    ("soundfile, RF64, float", write_by_soundfile, ("RF64", "FLOAT"), True),
    ("soundfile, WAVEX, mu-law", write_by_soundfile, ("WAVEX", "ULAW"), True),
):
    write("audio.wav", *options)
    content = Path("audio.wav").read_bytes()
    place = content.index(b"fmt ") + 8
    tag = int.from_bytes(content[place : place + 2], "little")
    right, rate = soundfile.read("audio.wav", always_2d=True)
    if len(right) != len(audio) or np.abs(right - audio[:, None]).max() > 0.02:
        changes.append(f"{name}: soundfile no longer reads what was written")
    read, pydub_rate = read_by_pydub("audio.wav")
    if pydub_rate != rate or read.shape != right.shape:
        changes.append(f"{name}: {pydub_rate} Hz, {read.shape}")
        continue
    level, true_level = np.sqrt(np.mean(read**2)), np.sqrt(np.mean(right**2))
    correlation = np.corrcoef(read.ravel(), right.ravel())[0, 1]
    shape = str(read.shape)
    print(f"{name:27} {tag:#7x} {shape:>17} {level:11.4f} {true_level:12.4f} {correlation:13.4f}")
    if (not np.isclose(level, true_level, rtol=0.02)) != is_misread:
        changes.append(f"{name}: level {level:.4f} of {true_level:.4f}")

soundfile.write("two.wav", np.array([0.001, 0.5], dtype=np.float32), RATE, format="WAVEX", subtype="FLOAT")
read = read_by_pydub("two.wav")[0].ravel()
print("\nsamples 0.001 and 0.5 come back as", *(f"{each:.3f}" for each in read))
if not np.allclose(read, np.array([0.001, 0.5], "<f4").view("<i4") / 2**31):
    changes.append("float bits are no longer read as integers")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
