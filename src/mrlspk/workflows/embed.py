"""Embed audio files, folders and lists of paths."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.config import Config
from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio import open_audio
from mrlspk.data.audio.channels import CHANNELS_DIFFER
from mrlspk.data.audio.source import AudioSource, as_source, take_channel
from mrlspk.data.left_out import LeftOut
from mrlspk.data.speech.build import build_detector
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, UsageError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import check_dims
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import embed_recordings, unit_prefix
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.workflows.embed_inputs import find_inputs

MOST_NAMED = 3  # files in a warning

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class EmbedReport:
    """Embeddings of files.

    Attributes:
        model: Path of the model file.
        fingerprint: Of the model.
        dim: Width of the embeddings.
        speech: Mode of the speech that was embedded.
        speech_detector: Version of its detector; None for whole recordings.
        embeddings: By id, in input order; their vectors are (dim,) at unit length.
        errors: Why a file has no embedding, by id.
        left_out: Audio in folders that is not embedded.
    """

    model: str
    fingerprint: str
    dim: int
    speech: SpeechMode
    speech_detector: str | None
    embeddings: dict[str, EmbeddedRecording]
    errors: dict[str, str]
    left_out: tuple[LeftOut, ...] = ()


def embed(
    model: ModelFile,
    inputs: Sequence[str],
    *,
    config: Config | None = None,
    dim: int | None = None,
    speech: SpeechMode = "auto",
    each_channel: bool = False,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    on_progress: OnProgress | None = None,
) -> EmbedReport:
    """Embed files, folders and lists of paths.

    Args:
        model: Model file.
        inputs: Audio files, folders (searched at any depth) and ``.txt`` lists of audio files, one path per line.
        config: Its ``evaluation`` section is used.
        dim: Width; the full one by default.
        speech: Embed the speech that a detector finds (auto, silero), or all of each recording.
        each_channel: Embed every channel of a file as ``FILE#N``, in place of the channel of ``config``.
        allow_untrained_dim: Take a width that the model was not trained for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        batch_size: Files of equal length embedded together; None: that of ``config``.
        on_progress: Called with (files done, all files).

    Raises:
        MissingDependencyError: If the detector is not installed.
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If the model has no such width, or if two inputs have the same id.
    """
    detector = build_detector(speech)
    found_inputs = find_inputs(inputs)
    backend = load_backend(model, device=device).backend
    width = check_dims(backend.dims, None if dim is None else (dim,), allow_untrained=allow_untrained_dim)[-1]
    settings = (config or Config()).evaluation
    sources = {file_id: take_channel(as_source(path), settings.channel) for file_id, path in found_inputs.files.items()}
    uncounted: dict[str, str] = {}
    if each_channel:
        sources, uncounted = _split_channels(found_inputs.files)
    recordings = {each: Recording(source) for each, source in sources.items()}
    found = embed_recordings(
        backend,
        recordings.values(),
        batch_size=batch_size or settings.batch_size,
        max_seconds=settings.max_seconds,
        speech=detector,
        on_progress=on_progress,
    )
    failed = {file_id: found.errors[each] for file_id, each in recordings.items() if each in found.errors}
    embedded = {file_id: found.embeddings[each] for file_id, each in recordings.items() if each in found.embeddings}
    _warn_of_channels([file_id for file_id, each in embedded.items() if CHANNELS_DIFFER in each.warnings])
    errors = found_inputs.errors | uncounted | failed
    return EmbedReport(
        model=str(model.path),
        fingerprint=backend.fingerprint,
        dim=width,
        speech=speech,
        speech_detector=detector.version if detector else None,
        embeddings={id: replace(each, vector=unit_prefix(each.vector, width)) for id, each in embedded.items()},
        errors={printable(each): printable(message) for each, message in errors.items()},
        left_out=found_inputs.left_out,
    )


def _warn_of_channels(file_ids: Sequence[str]) -> None:
    """Warn once of all the recordings whose mix may hold several voices."""
    if file_ids:
        rest = f" and {len(file_ids) - MOST_NAMED} more" if len(file_ids) > MOST_NAMED else ""
        names = ", ".join(map(printable, file_ids[:MOST_NAMED])) + rest
        log.warning("channels differ in %s: embed with `channel=each` if each channel has its own speaker", names)


def _split_channels(files: Mapping[str, Path]) -> tuple[dict[str, AudioSource], dict[str, str]]:
    """Return every channel of every file as ``FILE#N``, and why the channels of a file cannot be counted, by id.

    Raises:
        UsageError: If the id of a channel is also that of a file without channels.
    """
    channels: dict[str, AudioSource] = {}
    errors: dict[str, str] = {}
    for file_id, path in files.items():
        try:
            with open_audio(path) as audio:
                count = audio.channels
        except DataError as error:
            errors[file_id] = str(error)
            continue
        channels |= {f"{file_id}#{number}": take_channel(as_source(path), number) for number in range(count)}
    for repeated in channels.keys() & errors.keys():
        fix = "Embed that file by itself."
        raise UsageError("is the id of a channel and the name of a file that cannot be read", repeated, fix)
    return channels, errors
