"""Measure the speed-up of the embedding cache, and print it as a sentence.

Embed every recording of a folder on the CPU, three times with an empty cache and three times with a full one in turn,
and print the medians and their ratio. Exit 1 if the full cache gives another embedding than the first run.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mrlspk.data.audio.source import as_source
from mrlspk.data.corpora.walk import list_audio
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import EmbeddedRecordings, embed_recordings
from mrlspk.inference.recording import Recording
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.checkpoints import load_model

REPEATS = 3


def embed(backend: TorchBackend, recordings: list[Recording], folder: Path) -> tuple[EmbeddedRecordings, float]:
    """Return the embeddings with the cache in ``folder``, and the seconds that they took."""
    started = time.perf_counter()
    found = embed_recordings(backend, recordings, batch_size=16, max_seconds=60.0, cache=EmbeddingCache(folder))
    return found, time.perf_counter() - started


def main() -> int:
    """Measure, and print the sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="checkpoint")
    parser.add_argument("folder", type=Path, help="recordings, at any depth")
    arguments = parser.parse_args()
    backend = TorchBackend(load_model(arguments.model).encoder)
    recordings = [Recording(as_source(arguments.folder / name)) for name in list_audio(arguments.folder)]
    cold, warm, same = [], [], True
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            first, seconds = embed(backend, recordings, Path(folder))
            cold.append(seconds)
            time.sleep(2.5)  # files this young would be hashed again
            embed(backend, recordings, Path(folder))
            again, seconds = embed(backend, recordings, Path(folder))
            warm.append(seconds)
        pairs = [(each, again.embeddings[recording]) for recording, each in first.embeddings.items()]
        same &= all(np.array_equal(one.vector, other.vector) for one, other in pairs)
    slow, fast = statistics.median(cold), statistics.median(warm)
    print(f"{len(recordings)} recordings: {slow:.2f} s, from the cache {fast:.3f} s, {slow / fast:.0f} times as fast")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
