"""Find the places in a long recording that sound like a known voice.

python examples/find_voice.py MODEL VOICE RECORDING

Cuts the recording into pieces of equal length and compares each with the known voice. Pieces with two speakers get a
cosine too: this is not diarisation.
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
    pieces = (mono[start : start + size] for start in range(0, len(mono) - size + 1, size))  # the rest is too short
    for found in encoder.embed_many(pieces, dim=arguments.dim, sample_rate=sample_rate):
        place = f"{found.index * arguments.seconds:7.1f} s"
        if found.speech_seconds:
            cosine = encoder.similarity(voice, found, dim=arguments.dim)
            print(f"{place}  cosine {cosine:+.4f}  {found.speech_seconds:.1f} s of speech")
        else:
            print(f"{place}  {found.error or 'no speech'}")


if __name__ == "__main__":
    main()
