"""Measure how much faster recordings are embedded that are in the cache, as a sentence.

Every recording of a folder is embedded three times with an empty cache and three times with the full one, in turn, on
the CPU; the medians and their ratio are printed. Exits 1 where an embedding of the full cache is not that of the first.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mrlspk.data.corpora.folder_tree import list_audio
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import EmbeddedFiles, Recording, embed_files
from mrlspk.models.checkpoints import load_model
from mrlspk.models.encoder import Encoder

REPEATS = 3


def embed(encoder: Encoder, recordings: dict[str, Recording], folder: Path) -> tuple[EmbeddedFiles, float]:
    """Return what is embedded with the cache in ``folder``, and the seconds that it took."""
    started = time.perf_counter()
    found = embed_files(encoder, recordings, batch_size=16, max_seconds=60.0, cache=EmbeddingCache(folder))
    return found, time.perf_counter() - started


def main() -> int:
    """Measure, and print the sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="checkpoint")
    parser.add_argument("folder", type=Path, help="recordings, at any depth")
    arguments = parser.parse_args()
    encoder = load_model(arguments.model).encoder
    recordings = {name: Recording(arguments.folder / name) for name in list_audio(arguments.folder)}
    cold, warm, same = [], [], True
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            first, seconds = embed(encoder, recordings, Path(folder))
            cold.append(seconds)
            time.sleep(2.5)  # files this young would be hashed again
            embed(encoder, recordings, Path(folder))
            again, seconds = embed(encoder, recordings, Path(folder))
            warm.append(seconds)
        same &= all(np.array_equal(vector, again.embeddings[name]) for name, vector in first.embeddings.items())
    slow, fast = statistics.median(cold), statistics.median(warm)
    print(f"{len(recordings)} recordings: {slow:.2f} s, from the cache {fast:.3f} s, {slow / fast:.0f} times as fast")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
