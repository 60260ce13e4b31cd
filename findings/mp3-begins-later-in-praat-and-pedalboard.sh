#!/usr/bin/env bash
# Expect: an MP3 file whose header states the encoder's delay begins at the same sample in every reader: soundfile,
#   FFmpeg and miniaudio give back exactly the samples that were encoded.
# Happens: Praat and pedalboard read past that header and leave the delay in. Everything comes 1056 to 1632 samples
#   later: 132 ms at 8 kHz, 66 ms at 16 kHz, 37 ms at 44.1 kHz in Praat; pedalboard differs from Praat as well. Both
#   also report a longer file. WAV and FLAC begin alike everywhere.
# Meets: whoever labels MP3 recordings in Praat and cuts the segments with soundfile or FFmpeg: every cut begins
#   too late, by up to a syllable.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 soundfile==0.14.0 praat-parselmouth==0.4.7 pedalboard==0.9.26 \
    av==15.1.0 miniaudio==1.71
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import av
import miniaudio
import numpy as np
import parselmouth
import soundfile
from pedalboard.io import AudioFile

packages = ("praat-parselmouth", "pedalboard", "soundfile", "av", "miniaudio")
print(", ".join(f"{each} {version(each)}" for each in packages), "| Praat", parselmouth.PRAAT_VERSION)
changes = []


def by_soundfile(path):
    return soundfile.read(path)[0]


def by_ffmpeg(path):
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def by_miniaudio(path):
    info = miniaudio.get_file_info(path)
    decoded = miniaudio.decode_file(path, miniaudio.SampleFormat.FLOAT32, info.nchannels, info.sample_rate)
    return np.array(decoded.samples)


def by_praat(path):
    return parselmouth.Sound(path).values[0]


def by_pedalboard(path):
    with AudioFile(path) as file:
        return file.read(file.frames)[0]


def delay_of(read, written):
    """Return the samples by which what was read comes later than what was written: the peak of their correlation."""
    size = 2 * max(len(read), len(written))
    product = np.conj(np.fft.rfft(written, size)) * np.fft.rfft(read, size)
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return peak if peak < size // 2 else peak - size


readers = (by_soundfile, by_ffmpeg, by_miniaudio, by_praat, by_pedalboard)
print("\n   Hz  reader         samples more   later by samples     ms")
for rate, expected in (
    (8_000, {"by_praat": 1056, "by_pedalboard": 1105}),
    (16_000, {"by_praat": 1056, "by_pedalboard": 1105}),
    (44_100, {"by_praat": 1632, "by_pedalboard": 1105}),
):
    noise = np.random.default_rng(rate).standard_normal(4 * rate)
    loudness = np.repeat(np.random.default_rng(1).uniform(0, 1, 4 * rate // 400), 400)
    written = 0.2 * np.convolve(noise[: len(loudness)] * loudness, np.ones(8) / 8, "same")
    soundfile.write("audio.mp3", written, rate)
    soundfile.write("audio.flac", written, rate)
    if (late := delay_of(by_praat("audio.flac"), written)) or (late := delay_of(by_pedalboard("audio.flac"), written)):
        changes.append(f"FLAC at {rate} Hz begins {late} later")
    for read in readers:
        samples = read("audio.mp3")
        delay, more = delay_of(samples, written), len(samples) - len(written)
        print(f"{rate:5}  {read.__name__[3:]:12} {more:14} {delay:18} {1000 * delay / rate:6.1f}")
        if delay != expected.get(read.__name__, 0) or (more == 0) != (read.__name__ not in expected):
            changes.append(f"{rate} Hz, {read.__name__[3:]}: {more} more, {delay} later")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
