"""Find the places in a long recording that sound like a known voice.

python examples/find_voice.py MODEL VOICE RECORDING

Cuts the recording into pieces of equal length and compares each with the known voice. Pieces with two speakers, or
with none, get a cosine too: this is not diarisation.
"""

import argparse

import soundfile

import mrlspk


def main() -> None:
    """Print the cosine of each piece of the recording with the known voice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="checkpoint, or a name from `mrlspk pretrained list`")
    parser.add_argument("voice", help="audio file of one speaker")
    parser.add_argument("recording", help="WAV or FLAC file to search")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a piece; short pieces are less reliable")
    parser.add_argument("--dim", type=int, default=None, help="width; the full one by default")
    arguments = parser.parse_args()

    encoder = mrlspk.load(arguments.model)
    voice = encoder.embed(arguments.voice, dim=arguments.dim)
    samples, sample_rate = soundfile.read(arguments.recording, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    size = round(arguments.seconds * sample_rate)
    for start in range(0, len(mono) - size + 1, size):  # the rest is too short to compare
        piece = encoder.embed(mono[start : start + size], dim=arguments.dim, sample_rate=sample_rate)
        print(f"{start / sample_rate:7.1f} s  cosine {float(voice @ piece):+.4f}")


if __name__ == "__main__":
    main()
