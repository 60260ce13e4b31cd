"""A small index of recordings, and vector files to ask it with."""

import numpy as np
import soundfile

import mrlspk
from factories import RATE, write_voices


def write_recordings(root):
    """Write three voices with two recordings of 1.5 s each to a folder, and a silent file beside it."""
    root = write_voices(root, 3, sessions=("a",), seconds=1.5, syllables=True)
    soundfile.write(root.parent / "silent.wav", np.zeros(2 * RATE), RATE)
    return root


def recording(voices, speaker, number=1):
    """Return the path of a recording of a voice."""
    return voices / f"speaker{speaker}" / "a" / f"{number}.wav"


def make_index(folder, model, voices):
    """Make an index with the first recording of each voice."""
    with mrlspk.VoiceIndex.create(folder, model) as index:
        for number in range(3):
            index.add(f"voice{number}", recording(voices, number), metadata={"number": number})
    return folder


def vector_file(path, names=("ann/1", "ann/2", "bob/1"), dim=8, seed=0):
    """Write random vectors."""
    vectors = np.random.default_rng(seed).standard_normal((len(names), dim)).astype(np.float32)
    np.savez(path, ids=np.array(names), embeddings=vectors)
    return path
