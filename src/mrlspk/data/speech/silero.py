"""Find speech with Silero VAD, run by ONNX Runtime from the file in its package.

Importing the package needs more than the file does: torch, and torchaudio for its extras. So the file is located
without an import.
"""

import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.speech.levels import HOP, SAMPLE_RATE, LevelMeter
from mrlspk.data.speech.runs import drop_short_runs, find_runs, join_runs, to_intervals
from mrlspk.errors import MissingDependencyError

CHUNK = 512  # samples of one decision at 16 kHz
CONTEXT = 64  # samples before a chunk that the model also gets
STATE_SHAPE = (2, 1, 128)  # of the recurrent layers
FILE = Path("data", "silero_vad.onnx")  # within the package

# As in the package: a probability at which speech begins, one at which it ends, and what is too short to count.
START_PROBABILITY = 0.5
END_PROBABILITY = 0.35
LONGEST_GAP_CHUNKS = 3  # 0.1 s
SHORTEST_SPEECH_CHUNKS = 8  # 0.25 s


class SileroDetector:
    """Silero VAD as a detector: a recurrent network that tells speech from anything else, also from music and noise.

    Args:
        session: ONNX Runtime's session of the file.
        version: Of the package, and the first digits of the file's SHA-256.
    """

    name: SpeechMode = "silero"

    def __init__(self, session: Any, version: str) -> None:
        self._session = session
        self.version = version

    def search(self) -> "SileroSearch":
        """Begin with a recording."""
        return SileroSearch(self._session)


class SileroSearch:
    """The search in one recording; keeps one probability per chunk of 32 ms."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._meter = LevelMeter()
        self._context = np.zeros(CONTEXT, np.float32)
        self._state = np.zeros(STATE_SHAPE, np.float32)
        self._rest = np.zeros(0, np.float32)
        self._probabilities: list[float] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (samples,) of the recording."""
        self._meter.add(block)
        samples = np.concatenate((self._rest, block))
        n_whole = len(samples) // CHUNK * CHUNK
        for chunk in samples[:n_whole].reshape(-1, CHUNK):
            probability, self._state = self._judge(chunk)
            self._probabilities.append(probability)
            self._context = chunk[-CONTEXT:].copy()
        self._rest = samples[n_whole:].copy()

    def probabilities(self) -> NDArray[np.float32]:
        """Return the probability of speech in each chunk (chunks,); the last chunk is filled up with zeros."""
        last = []
        if len(self._rest):
            last = [self._judge(np.pad(self._rest, (0, CHUNK - len(self._rest))))[0]]
        return np.array(self._probabilities + last, np.float32)

    def intervals(self) -> NDArray[np.int64]:
        """Return the speech so far as (n, 2) samples."""
        chunks = join_runs(find_runs(_mark_speech(self.probabilities())), gap=LONGEST_GAP_CHUNKS)
        chunks = drop_short_runs(chunks, shortest=SHORTEST_SPEECH_CHUNKS)
        energies = self._meter.energies()
        starts, ends = chunks[:, 0] * CHUNK // HOP, -(-chunks[:, 1] * CHUNK // HOP)
        frames = np.stack((starts, ends.clip(max=len(energies))), axis=1)
        return to_intervals(frames, energies, n_samples=self._meter.n_samples)

    def _judge(self, chunk: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """Return the probability of speech in the chunk, and the state after it."""
        heard = np.concatenate((self._context, chunk))[None]
        feeds = {"input": heard, "state": self._state, "sr": np.array(SAMPLE_RATE, np.int64)}
        probability, state = self._session.run(None, feeds)
        return float(probability[0, 0]), state


def load_silero() -> SileroDetector:
    """Load the file of the package into a session with one thread, so that results do not depend on the machine's load.

    Raises:
        MissingDependencyError: If the package or ONNX Runtime is not installed, or the package lacks the file.
    """
    path = _locate_file()
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise _missing("ONNX Runtime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = path.read_bytes()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    digest = hashlib.sha256(content).hexdigest()
    return SileroDetector(session, f"silero-{importlib.metadata.version('silero-vad')}-{digest[:8]}")


def _locate_file() -> Path:
    """Return the ONNX file of the package, without an import of the package."""
    spec = importlib.util.find_spec("silero_vad")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or []:
        if (path := Path(folder) / FILE).is_file():
            return path
    raise _missing("silero-vad")


def _missing(package: str) -> MissingDependencyError:
    """Return the error for a package that is not installed."""
    return MissingDependencyError(
        f"Silero VAD needs {package}", parameter="speech", fix="Type: pip install 'mrlspk[silero]'"
    )


def _mark_speech(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which chunks (chunks,) are speech: from a high probability on until a low one."""
    decided = np.full(len(probabilities), -1, np.int64)
    decided[probabilities >= START_PROBABILITY] = 1
    decided[probabilities < END_PROBABILITY] = 0
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(decided)), -1))
    speech: NDArray[np.bool_] = np.where(last >= 0, decided[last], 0) == 1
    return speech
