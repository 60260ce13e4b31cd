#!/usr/bin/env bash
# Expect: an Ogg file of six microphones (CHiME records six, other arrays seven or eight) keeps six recordings, all
#   with the same loss. Five microphones and four do.
# Happens: Ogg files of six to eight channels are surround sound: the last channel that soundfile (libsndfile) writes
#   is the subwoofer's. Opus, at any rate, and Vorbis, with six channels at 48 kHz, keep only its bass. Nothing is
#   raised, the shapes are right. FFmpeg also gives back the channels of such a file in another order.
# Meets: whoever stores an array as Ogg and then embeds, or picks, one microphone.
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

print("soundfile", soundfile.__version__, soundfile.__libsndfile_version__, "| av", av.__version__)
changes = []


def expect(holds, what):
    if not holds:
        changes.append(what)


def record(channels, rate):
    """Return independent noise at each microphone, weaker at high frequencies as speech is."""
    noise = np.random.default_rng(channels).standard_normal((4 * rate, channels))
    spectrum = np.fft.rfft(noise, axis=0)
    hertz = np.fft.rfftfreq(len(noise), 1 / rate)[:, None]
    return 0.1 * np.fft.irfft(spectrum / (1 + hertz / 500), axis=0).astype(np.float32)


def treble(samples, rate):
    """Return the power above 500 Hz of each channel in dB."""
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    power = (np.abs(np.fft.rfft(samples, axis=0)) ** 2)[hertz > 500].sum(axis=0)
    return 10 * np.log10(power / len(samples))


def decode_by_ffmpeg(path):
    with av.open(path) as container:
        frames = list(container.decode(audio=0))
    names = [channel.name for channel in frames[0].layout.channels]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T, names, frames[0].sample_rate


def order_of(decoded, written):
    """Return the microphone that each decoded channel is most like."""
    size = min(len(decoded), len(written))
    return [int(np.argmax(np.abs(written[:size].T @ decoded[:size, each]))) for each in range(decoded.shape[1])]


print("\npower above 500 Hz, dB against the recording, one value a microphone")
for subtype, rate in (("OPUS", 16_000), ("OPUS", 48_000), ("VORBIS", 48_000)):
    for channels in (4, 5, 6, 7, 8):
        written = record(channels, rate)
        soundfile.write("array.ogg", written, rate, format="OGG", subtype=subtype)
        read, _ = soundfile.read("array.ogg")
        change = treble(read, rate) - treble(written, rate)
        print(f"{subtype:6} {rate} Hz, {channels} microphones:", *(f"{each:6.1f}" for each in change))
        has_subwoofer = channels >= 6 if subtype == "OPUS" else channels == 6
        expect(np.all(np.abs(change[:-1]) < 6), f"{subtype} {rate} {channels}: all but the last keep their treble")
        expect((change[-1] < -12) == has_subwoofer, f"{subtype} {rate} {channels}: last microphone")

written = record(6, 48_000)
soundfile.write("array.flac", written, 48_000)
change = treble(soundfile.read("array.flac")[0], 48_000) - treble(written, 48_000)
print("FLAC   48000 Hz, 6 microphones:", *(f"{each:6.1f}" for each in change))
expect(np.all(np.abs(change) < 0.1), "FLAC keeps six microphones")

soundfile.write("array.ogg", written, 48_000, format="OGG", subtype="OPUS")
decoded, names, rate = decode_by_ffmpeg("array.ogg")
order = order_of(decoded, written)
weak = names[int(np.argmin(treble(decoded, rate)))]
print("\nFFmpeg, the six of Opus: names", names, "are microphones", [each + 1 for each in order])
print("its weakest is", weak)
expect(weak == "LFE", "FFmpeg calls the spoilt channel LFE")
expect(order == [0, 2, 1, 5, 3, 4], "order of FFmpeg's channels")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
