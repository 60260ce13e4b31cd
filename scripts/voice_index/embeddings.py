"""Embed the shared speech through the command line, each model once, and fit heads on training speakers."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

MODELS = {
    "ResNet34": "wespeaker-resnet34.onnx",
    "CAM++": "campplus-zh-en.onnx",
    "small": "redimnet-small-speech.pt",
}
TRAIN = "train"  # the corpus that heads are fitted on, and that the small backbone was trained on
CORPORA = (TRAIN, "test", "more/so762-en-adult", "more/speechcmd-en", "more/alnum-en")
# alnum-en's README: perhaps one person who took part several times (al33 stays), and close voices (al40 stays).
DOUBTFUL = ("al34", "al38", "al39", "al42", "al30", "al31")
ONE_A_SESSION = "ar"  # speakers of many sessions: one recording of each
CROPS = Path(__file__).parents[1] / "embed_crops.py"


@dataclass(frozen=True, eq=False)
class Vectors:
    """Embedded recordings: ids ``speaker/session/file``, unit vectors, and seconds of speech.

    Attributes:
        corpora: (recordings,), name of the corpus of each.
        ids: (recordings,)
        unit: (recordings, embed_dim) float32.
        speech_seconds: (recordings,).
        fingerprint: Of the model.
    """

    corpora: NDArray[np.str_]
    ids: NDArray[np.str_]
    unit: NDArray[np.float32]
    speech_seconds: NDArray[np.float64]
    fingerprint: str

    @property
    def speakers(self) -> NDArray[np.str_]:
        """(recordings,), the first part of each id."""
        return np.array([each.split("/")[0] for each in self.ids])

    @property
    def is_doubtful(self) -> NDArray[np.bool_]:
        """(recordings,), whether the speaker may be another speaker, too."""
        return np.isin(self.speakers, DOUBTFUL)

    @property
    def sources(self) -> NDArray[np.str_]:
        """(recordings,), corpus and id."""
        return np.array([f"{corpus}/{each}" for corpus, each in zip(self.corpora, self.ids, strict=True)])

    def take(self, rows: NDArray[np.bool_]) -> "Vectors":
        """Return some of the recordings."""
        return Vectors(self.corpora[rows], self.ids[rows], self.unit[rows], self.speech_seconds[rows], self.fingerprint)

    @property
    def sessions(self) -> NDArray[np.str_]:
        """(recordings,), the folder of each id."""
        return np.array([each.rpartition("/")[0] for each in self.ids])


def embed_corpora(shared: Path, work: Path, model: str) -> Vectors:
    """Return the vectors of all corpora; a corpus that was embedded before is read."""
    found = []
    for corpus in CORPORA:
        file = _file(work, model, corpus)
        if not file.exists():
            listed = file.with_suffix(".txt")
            listed.write_text("\n".join(_recordings(shared / "speech" / corpus)) + "\n")
            model_file = shared / "pretrained" / MODELS[model]
            _run("embed", listed, "--model", model_file, "-o", file, cwd=shared / "speech" / corpus)
        found.append((corpus, np.load(file)))
    vectors = np.concatenate([each["embeddings"] for _, each in found])
    return Vectors(
        np.concatenate([np.full(len(each["ids"]), corpus) for corpus, each in found]),
        np.concatenate([each["ids"] for _, each in found]),
        _unit(vectors),
        np.concatenate([each["speech_seconds"] for _, each in found]),
        str(found[0][1]["fingerprint"]),
    )


def with_head(shared: Path, work: Path, model: str, vectors: Vectors) -> Vectors:
    """Return the vectors after a Matryoshka transform fitted on the training corpus: whole recordings and crops."""
    head, mapped = work / model / "head.npz", work / model / "mapped.npz"
    if not mapped.exists():
        crops, whole = work / model / "crops.npz", np.load(_file(work, model, TRAIN))
        if not crops.exists():
            model_file = shared / "pretrained" / MODELS[model]
            _python(CROPS, shared / "speech" / TRAIN, "--model", model_file, "-o", crops)
        cut = np.load(crops)
        fit, plain = work / model / "fit.npz", work / model / "plain.npz"
        ids = (*map(str, whole["ids"]), *map(str, cut["ids"]))
        rows = np.concatenate([_unit(whole["embeddings"]), cut["embeddings"]])
        save_vectors(VectorTable(ids, rows, vectors.fingerprint), fit, force=True)
        options = ("--centre", "--flatten", "0.2", "--dims", "16,32,64,128")
        _run("rotate", "--vectors", fit, *options, "-o", head, "--force")
        save_vectors(VectorTable(tuple(map(str, vectors.ids)), vectors.unit, vectors.fingerprint), plain, force=True)
        _run("vectors", "apply", plain, "--transform", head, "-o", mapped)
    found = np.load(mapped)
    assert found["ids"].tolist() == vectors.ids.tolist()
    unit = _unit(found["embeddings"])
    return Vectors(vectors.corpora, vectors.ids, unit, vectors.speech_seconds, str(found["fingerprint"]))


def _recordings(root: Path) -> list[str]:
    """Return the recordings of a corpus; of speakers of many sessions the first of each session."""
    names = sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.suffix in {".m4a", ".wav"})
    first = {name.rpartition("/")[0]: name for name in reversed(names)}
    return [name for name in names if not name.startswith(ONE_A_SESSION) or first[name.rpartition("/")[0]] == name]


def _file(work: Path, model: str, corpus: str) -> Path:
    file = work / model / f"{corpus.replace('/', '-')}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _run(*arguments: object, cwd: Path | None = None) -> None:
    _python("-m", "mrlspk", *arguments, "--quiet", cwd=cwd)


def _python(*arguments: object, cwd: Path | None = None) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True, cwd=cwd, stdout=subprocess.DEVNULL)
