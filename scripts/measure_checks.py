"""Measure how often the checks of `mrlspk data check` find what is planted into real speech, and what they invent.

    .venv/bin/python scripts/measure_checks.py ../shared/speech --files 60

Prints, for telephone copies and for clipped ones, the share that is found in each encoding; for good files and their
low-rate encodings the share that is told wrongly; and the highest contrast at 4 kHz of any good file.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr
from av.audio.frame import AudioFrame
from numpy.typing import NDArray
from scipy.signal import resample_poly

from mrlspk.data.audio import load_audio
from mrlspk.data.audio.source import FileSource
from mrlspk.data.checks.hearing import check_heard, hear

RATE = 16_000
ENCODINGS = "wav", "m4a 48", "m4a 24", "mp3 48"
GOOD = "wav", "m4a 48", "m4a 24", "m4a 16", "mp3 32", "mp3 16"
RESAMPLERS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "soxr": lambda x: soxr.resample(soxr.resample(x, RATE, 8_000), 8_000, RATE),
    "SciPy": lambda x: resample_poly(resample_poly(x, 1, 2), 2, 1).astype(np.float32),
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("--files", type=int, default=60)
    arguments = parser.parse_args()
    paths = sorted(arguments.speech.glob("train/*/*/*.m4a")) + sorted(arguments.speech.glob("more/so762*/*/*/*.m4a"))
    chosen = np.random.default_rng(0).choice(len(paths), arguments.files, replace=False)
    speech = [load_audio(paths[index], seconds=8.0).numpy() for index in chosen]
    print("| planted | encoding | kind | found |\n|---|---|---|---|")
    for name, change in RESAMPLERS.items():
        for encoding in ENCODINGS:
            _row(f"8 kHz by {name}", encoding, "band_limited", [change(each) for each in speech])
    for share in (0.001, 0.01, 0.05, 0.1, 0.2):
        for encoding in ENCODINGS:
            _row(f"{share:.1%} clipped", encoding, "clipped", [_clip(each, share) for each in speech])
    for encoding in GOOD:
        for kind in ("band_limited", "clipped"):
            _row("nothing", encoding, kind, speech)


def _clip(samples: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    limit = float(np.quantile(np.abs(samples), 1 - share))
    return 0.9 * np.clip(samples / limit, -1, 1)


def _row(planted: str, encoding: str, kind: str, speech: list[NDArray[np.float32]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = [kind in _kinds(_write(Path(folder), encoding, each)) for each in speech]
    print(f"| {planted} | {encoding} | {kind} | {np.mean(found):.0%} |", flush=True)


def _kinds(path: Path) -> set[str]:
    return {each.kind for each in check_heard("", hear(FileSource(str(path))), path.stat().st_size)}


def _write(folder: Path, encoding: str, samples: NDArray[np.float32]) -> Path:
    suffix, _, kbits = encoding.partition(" ")
    path = folder / f"a.{suffix}"
    if not kbits:
        soundfile.write(path, samples, RATE)
        return path
    frame = AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac" if suffix == "m4a" else "mp3", rate=RATE, layout="mono")
        stream.bit_rate = 1000 * int(kbits)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
