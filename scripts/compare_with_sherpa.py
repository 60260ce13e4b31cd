"""Compare embeddings of a speaker model with those that sherpa-onnx makes of the same file.

    pip install sherpa-onnx
    python scripts/compare_with_sherpa.py MODEL.onnx RECORDING.wav...

Prints the cosine for the front end in use, and for the one that sherpa-onnx has.
"""

import argparse
from pathlib import Path

import numpy as np
import sherpa_onnx
import soundfile

from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.front_ends import KaldiFbank
from mrlspk.metrics.similarity import cosine

SHERPA = {"window": "povey", "high_hz": 7600.0, "snip_edges": False}


def main() -> None:
    """Print a line for each recording."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING.wav", help="16 kHz, one channel")
    given = parser.parse_args()
    backend = load_backend(ModelFile(given.model, given.model.name)).backend
    assert isinstance(backend, SpeakerModelBackend)
    assert isinstance(backend.description.front_end, KaldiFbank)
    mean = "none" if backend.description.recognised_as == "wespeaker" else "utterance"
    theirs = backend.with_front_end(backend.description.front_end.model_copy(update=SHERPA | {"mean": mean}))
    config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(given.model))
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
    for path in given.recordings:
        samples, rate = soundfile.read(path, dtype="float32")
        stream = extractor.create_stream()
        stream.accept_waveform(rate, samples)
        stream.input_finished()
        reference = np.array(extractor.compute(stream))
        own, same = (cosine(each.embed(samples[None])[0], reference) for each in (backend, theirs))
        print(f"{path}: {own:.4f} as described, {same:.6f} with the front end of sherpa-onnx {sherpa_onnx.__version__}")


if __name__ == "__main__":
    main()
