"""Files and folders to embeddings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.config import Config
from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, UsageError
from mrlspk.inference.device import find_device
from mrlspk.inference.embedding import Recording, embed_files
from mrlspk.inference.fingerprint import model_fingerprint
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import ModelFile
from mrlspk.inference.widths import check_dims
from mrlspk.models.head import truncate


@dataclass(frozen=True)
class Embedding:
    """One file's embedding: (dim,) at unit length."""

    id: str
    seconds: float
    vector: NDArray[np.float32]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class EmbedReport:
    """Embeddings in input order, and why the other files have none; ``fingerprint`` is that of the model's weights."""

    model: str
    fingerprint: str
    dim: int
    embeddings: tuple[Embedding, ...]
    errors: dict[str, str]


def embed(
    model: ModelFile,
    inputs: Sequence[str],
    *,
    config: Config | None = None,
    dim: int | None = None,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EmbedReport:
    """Embed files, folders and lists of paths.

    Args:
        model: Checkpoint.
        inputs: Audio files, folders (searched whole) and ``.txt`` lists of audio files, one path a line.
        config: Its ``evaluation`` section is used.
        dim: Width; the full one by default.
        allow_untrained_dim: Take a width that the model was not trained for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: Files of equal length that go through the network together; None: that of ``config``.
        on_progress: Called with (files done, all files).

    Raises:
        DataError: If the one input does not exist or holds no audio, or if none is named.
        UsageError: If the model has no such width, or if two inputs have one id.
    """
    files, errors = find_inputs(inputs)
    encoder = load_located(model).encoder.to(find_device(device))
    width = check_dims(encoder.dims, None if dim is None else (dim,), allow_untrained=allow_untrained_dim)[-1]
    settings = (config or Config()).evaluation
    found = embed_files(
        encoder,
        {file_id: Recording(path) for file_id, path in files.items()},
        batch_size=batch_size or settings.batch_size,
        max_seconds=settings.max_seconds,
        on_progress=on_progress,
    )
    embeddings = tuple(
        Embedding(
            id=file_id,
            seconds=found.seconds[file_id],
            vector=truncate(torch.from_numpy(vector), width).numpy(),
            warnings=tuple(found.warnings.get(file_id, ())),
        )
        for file_id, vector in found.embeddings.items()
    )
    failed = {printable(file_id): printable(message) for file_id, message in (errors | found.errors).items()}
    return EmbedReport(str(model.path), model_fingerprint(encoder), width, embeddings, failed)


def find_inputs(inputs: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return audio files by id, and why an input among several gives none, by the input.

    The id of a file is the path as typed; of a folder's files, the path relative to the folder.

    Raises:
        DataError: If the one input does not exist or holds no audio, or if no file is named.
        UsageError: If an id repeats.
    """
    files: dict[str, Path] = {}
    errors: dict[str, str] = {}
    for typed in inputs:
        try:
            found = _expand(typed)
        except DataError as error:
            if len(inputs) == 1:
                raise
            errors[typed] = str(error)
            continue
        for file_id, path in found:
            if file_id in files:
                raise UsageError(
                    f"{files[file_id]} and {path} would have the same id",
                    file_id,
                    "Give each file once; embed folders with equal contents one at a time.",
                )
            files[file_id] = path
    if not (files or errors):
        raise DataError("no audio is named", fix="Give files or folders, or one path on each line of a list or stdin.")
    return files, errors


def _expand(typed: str) -> list[tuple[str, Path]]:
    path = Path(typed)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise DataError("no such file or folder", typed, "Check the path.")
    return _listed(path) if path.suffix.lower() == ".txt" else [(typed, path)]


def _listed(path: Path) -> list[tuple[str, Path]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path, "Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path, "Save the list as UTF-8, one path on each line.") from error
    return [(line, Path(line)) for line in map(str.strip, lines) if line]


def _folder(folder: Path) -> list[tuple[str, Path]]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise DataError(
            "no audio in this folder",
            folder,
            f"Give a folder that holds {', '.join(sorted(AUDIO_SUFFIXES))} files, at any depth.",
        )
    return [(path.relative_to(folder).as_posix(), path) for path in found]
