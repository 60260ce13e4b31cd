"""Embed audio files, folders and lists of paths."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import batched
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config import Config
from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio import SAMPLE_RATE, open_audio
from mrlspk.data.audio.channels import CHANNELS_DIFFER
from mrlspk.data.audio.source import AudioSource, as_source, take_channel
from mrlspk.data.left_out import LeftOut
from mrlspk.data.speech.build import build_detector
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, UsageError
from mrlspk.files import OnProgress
from mrlspk.inference.backend import BackendName, Precision, PrecisionCosine, check_dims, runtime_name
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding import EmbeddedRecordings, embed_recordings, unit_prefix
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.workflows.embed_inputs import find_inputs
from mrlspk.workflows.embedding_spool import Spool, state_of

MOST_NAMED = 3  # files in a warning
GRAPH_FILES = 100  # from which on a graph saves more time than it takes to make
PART_FILES = 256  # after which their embeddings are in the spool
SAMPLE_FILES, SAMPLE_SECONDS = 16, 8.0  # that a lower precision is compared on

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
        backend: Library that ran the network.
        precision: Of the network.
        precision_cosine: To f32; None for f32.
        embeddings: By id, in input order; their vectors are (dim,) at unit length.
        errors: Why a file has no embedding, by id.
        left_out: Audio in folders that is not embedded.
    """

    model: str
    fingerprint: str
    dim: int
    speech: SpeechMode
    speech_detector: str | None
    backend: str
    precision: Precision
    precision_cosine: PrecisionCosine | None
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
    backend: BackendName = "torch",
    precision: Precision = "f32",
    cache_dir: Path | None = None,
    batch_size: int | None = None,
    spool: Spool | None = None,
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
        backend: What runs the network; auto: the fastest that is installed and gives the embeddings of PyTorch.
        precision: Of the network (f32, bf16, int8); the others are compared with f32 on the first recordings.
        cache_dir: Where the graph of a checkpoint is kept for backends other than PyTorch.
        batch_size: Files of equal length embedded together; None: that of ``config``.
        spool: Keeps the embeddings as they come, and gives those of the run that is resumed.
        on_progress: Called with (files done, all files).

    Raises:
        MissingDependencyError: If the detector or the backend is not installed.
        CheckpointError: If the model cannot be loaded.
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If the model has no such width, or if two inputs have the same id.
        MrlspkError: If the run to resume had other settings, or the spool cannot be written.
    """
    detector = build_detector(speech)
    found_inputs = find_inputs(inputs)
    settings = (config or Config()).evaluation
    sources = {file_id: take_channel(as_source(path), settings.channel) for file_id, path in found_inputs.files.items()}
    uncounted: dict[str, str] = {}
    if each_channel:
        sources, uncounted = _split_channels(found_inputs.files)
    loaded = load_backend(
        model,
        device=device,
        backend=backend,
        precision=precision,
        cache_dir=cache_dir,
        sample=() if precision == "f32" else read_sample(sources.values()),
        makes_graph=precision != "f32" or len(sources) >= GRAPH_FILES,
    )
    network = loaded.backend
    width = check_dims(network.dims, None if dim is None else (dim,), allow_untrained=allow_untrained_dim)[-1]
    recordings = {each: Recording(source) for each, source in sources.items()}
    run = partial(
        embed_recordings,
        network,
        batch_size=batch_size or settings.batch_size,
        max_seconds=settings.max_seconds,
        speech=detector,
    )
    kept_settings = {
        "model": network.fingerprint,
        "backend": runtime_name(network),
        "precision": precision,
        "speech": detector.version if detector else "all",
        "channel": "each" if each_channel else settings.channel,
        "max_seconds": settings.max_seconds,
    }
    before = spool.begin(kept_settings, recordings) if spool else {}
    embedded, failed = _embed_in_parts(run, recordings, before, spool, on_progress)
    _warn_of_channels([file_id for file_id, each in embedded.items() if CHANNELS_DIFFER in each.warnings])
    errors = found_inputs.errors | uncounted | failed
    return EmbedReport(
        model=str(model.path),
        fingerprint=network.fingerprint,
        backend=runtime_name(network),
        precision=precision,
        precision_cosine=loaded.precision_cosine,
        dim=width,
        speech=speech,
        speech_detector=detector.version if detector else None,
        embeddings={id: replace(each, vector=unit_prefix(each.vector, width)) for id, each in embedded.items()},
        errors={printable(each): printable(message) for each, message in errors.items()},
        left_out=found_inputs.left_out,
    )


def _embed_in_parts(
    run: Callable[..., EmbeddedRecordings],
    recordings: Mapping[str, Recording],
    before: Mapping[str, EmbeddedRecording],
    spool: Spool | None,
    on_progress: OnProgress | None,
) -> tuple[dict[str, EmbeddedRecording], dict[str, str]]:
    """Return embeddings and errors by id, in order; the spool gets those of each part when it is done."""
    embedded, failed = dict(before), dict[str, str]()
    for part in batched([file_id for file_id in recordings if file_id not in before], PART_FILES):
        states = {file_id: state_of(recordings[file_id]) for file_id in part}
        n_done = len(embedded) + len(failed)
        found = run([recordings[file_id] for file_id in part], on_progress=_after(n_done, len(recordings), on_progress))
        new = {id: found.embeddings[recordings[id]] for id in part if recordings[id] in found.embeddings}
        failed |= {id: found.errors[recordings[id]] for id in part if recordings[id] in found.errors}
        if spool:
            spool.add(new, states)
        embedded |= new
    return {file_id: embedded[file_id] for file_id in recordings if file_id in embedded}, failed


def _after(n_done: int, total: int, on_progress: OnProgress | None) -> OnProgress | None:
    """Return the progress of a part of all files, which follows ``n_done`` others."""
    return None if on_progress is None else lambda done, _part: on_progress(n_done + done, total)


def read_sample(sources: Iterable[AudioSource]) -> list[NDArray[np.float32]]:
    """Return the first seconds of a few recordings, spread over all of them; those that cannot be read are left out."""
    known, sample = list(sources), list[NDArray[np.float32]]()
    for source in known[:: max(1, len(known) // SAMPLE_FILES)][:SAMPLE_FILES]:
        # An error is suppressed here: embedding the recording tells what is wrong.
        with suppress(DataError), open_audio(source, sample_rate=SAMPLE_RATE) as audio:
            sample.append(np.concatenate(list(audio.blocks(seconds=SAMPLE_SECONDS))))
    return sample


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
