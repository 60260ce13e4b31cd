"""Corpora of a few short files."""

import numpy as np
import soundfile


def write_speakers(root, speakers, n_utterances=3):
    """Write ``speaker/session/N.wav``, a quarter of a second each; return the folder."""
    for speaker in speakers:
        for number in range(n_utterances):
            path = root / speaker / "session" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 4_000), 16_000)
    return root
