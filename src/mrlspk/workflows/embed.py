"""Embed audio files, folders and lists of paths."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config import Config
from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.audio import SAMPLE_RATE, open_audio
from mrlspk.data.audio.channels import CHANNELS_DIFFER
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.left_out import LeftOut
from mrlspk.data.speech.build import build_detector
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError
from mrlspk.inference.backend import BackendName, Precision, PrecisionCosine, check_dims, runtime_name
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embed_stream import embed_stream
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import EmbeddedRecording, Recording, TooShort
from mrlspk.workflows.embed_inputs import find_sources
from mrlspk.workflows.embed_run import EmbedRun, OnEmbedProgress, Stream
from mrlspk.workflows.embed_verification import Verified, verify_rows
from mrlspk.workflows.embedding_rows import EmbeddedRows, Totals
from mrlspk.workflows.embedding_spool import Spool

GRAPH_FILES = 100  # from which on a graph saves more time than it takes to make
SAMPLE_FILES, SAMPLE_SECONDS = 16, 8.0  # that a lower precision is compared on

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class EmbedReport:
    """Embeddings of files.

    Attributes:
        model: Model file.
        fingerprint: Of the model.
        dim: Width of the embeddings.
        dims: Prefix widths of the embeddings that the model was trained for, and ``dim``; rising.
        speech: Mode of the speech that was embedded.
        speech_detector: Version of its detector; None for whole recordings.
        backend: Library that ran the network.
        precision: Of the network.
        precision_cosine: To f32; None for f32.
        embeddings: In input order.
        errors: Why a file has no embedding, by id.
        left_out: Audio in folders that is not embedded.
        n_resumed: Embeddings that an earlier run made.
        audio_seconds: Length of all recordings with an embedding.
        new_audio_seconds: Of those that this run embedded.
        seconds: That this run took to decode and embed.
        warnings: How many recordings have each warning.
        verified: Embeddings that were made again; None if none were.
    """

    model: ModelFile
    fingerprint: str
    dim: int
    dims: tuple[int, ...]
    speech: SpeechMode
    speech_detector: str | None
    backend: str
    precision: Precision
    precision_cosine: PrecisionCosine | None
    embeddings: EmbeddedRows
    errors: dict[str, str]
    left_out: tuple[LeftOut, ...]
    n_resumed: int
    audio_seconds: float
    new_audio_seconds: float
    seconds: float
    warnings: Mapping[str, int]
    verified: Verified | None


def embed(
    model: ModelFile,
    inputs: Sequence[str],
    *,
    spool: Spool,
    config: Config | None = None,
    dim: int | None = None,
    speech: SpeechMode = "auto",
    each_channel: bool = False,
    allow_untrained_dim: bool = False,
    device: str = "auto",
    backend: BackendName = "torch",
    precision: Precision = "f32",
    compile: bool = False,
    cache_dir: Path | None = None,
    batch_size: int | None = None,
    verify: int = 0,
    on_found: Callable[[int], None] | None = None,
    on_progress: OnEmbedProgress | None = None,
) -> EmbedReport:
    """Embed files, folders and lists of paths. Memory does not grow with the vectors.

    Args:
        model: Model file.
        inputs: Audio files, folders (searched at any depth), ``.txt`` lists of audio files, one path per line, and
            Kaldi's ``wav.scp`` of files.
        spool: Gets the embeddings as they come, and gives those of the run that is resumed; the report reads from it.
        config: Its ``evaluation`` section is used.
        dim: Width; the full one by default.
        speech: Embed the speech that a detector finds (auto, silero), or all of each recording.
        each_channel: Embed every channel of a file as ``FILE#N``, in place of the channel of ``config``.
        allow_untrained_dim: Take a width that the model was not trained for.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        backend: What runs the network; auto: the fastest that is installed and gives the embeddings of PyTorch.
        precision: Of the network (f32, bf16, int8); the others are compared with f32 on the first recordings.
        compile: Call the network of PyTorch through torch.compile.
        cache_dir: Where the graph of a checkpoint is kept for backends other than PyTorch.
        batch_size: Files of equal length embedded together; None: that of ``config``.
        verify: How many files to embed once more, each by itself, and compare.
        on_found: Called with the number of files, once the model is loaded.
        on_progress: Called as files are done.

    Raises:
        MissingDependencyError: If the detector or the backend is not installed.
        CheckpointError: If the model cannot be loaded.
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If the model has no such width, or if two inputs have the same id.
        MrlspkError: If the run to resume had other settings, the spool cannot be written, or a file that is verified
            has another embedding.
    """
    detector = build_detector(speech)
    settings = (config or Config()).evaluation
    found = find_sources(inputs, channel=settings.channel, each_channel=each_channel)
    sources = found.by_id
    loaded = load_backend(
        model,
        device=device,
        backend=backend,
        precision=precision,
        compile=compile,
        cache_dir=cache_dir,
        sample=() if precision == "f32" else read_sample(list(sources.values())),
        makes_graph=precision != "f32" or len(sources) >= GRAPH_FILES,
    )
    network = loaded.backend
    dims = None if dim is None else (dim,)
    width = check_dims(network.dims, dims, allow_untrained=allow_untrained_dim, model=model)[-1]
    if on_found:
        on_found(len(sources))
    kept_settings = {
        "model": network.fingerprint,
        "backend": runtime_name(network),
        "precision": precision,
        "speech": detector.version if detector else "all",
        "channel": "each" if each_channel else settings.channel,
        "max_seconds": settings.max_seconds,
    }
    stream = partial(embed_stream, network, max_seconds=settings.max_seconds, speech=detector)
    run = EmbedRun(sources, spool, spool.begin(kept_settings, sources), on_progress)
    run.embed_missing(stream, batch_size=batch_size or settings.batch_size)
    rows = run.rows(width)
    embed_singly = partial(_embed_singly, stream, sources)
    verified = verify_rows(rows, embed_singly, files=verify) if verify else None
    _warn_of_channels(run.totals)
    errors = found.explained(found.errors | run.errors)
    return EmbedReport(
        model=model,
        fingerprint=network.fingerprint,
        backend=runtime_name(network),
        precision=precision,
        precision_cosine=loaded.precision_cosine,
        dim=width,
        dims=tuple(sorted({each for each in network.dims if each < width} | {width})),
        speech=speech,
        speech_detector=detector.version if detector else None,
        embeddings=rows,
        errors={printable(each): printable(message) for each, message in errors.items()},
        left_out=found.left_out,
        n_resumed=run.n_resumed,
        audio_seconds=run.totals.audio_seconds,
        new_audio_seconds=run.new_audio_seconds,
        seconds=run.seconds,
        warnings=dict(run.totals.warnings),
        verified=verified,
    )


def _embed_singly(
    stream: Stream, sources: Mapping[str, AudioSource], file_id: str
) -> EmbeddedRecording | TooShort | DataError:
    with closing(stream([Recording(sources[file_id])], batch_size=1)) as results:
        return next(results)[1]


def read_sample(sources: Sequence[AudioSource]) -> list[NDArray[np.float32]]:
    """Return the first seconds of a few recordings, spread over all of them; those that cannot be read are left out."""
    sample = list[NDArray[np.float32]]()
    for source in sources[:: max(1, len(sources) // SAMPLE_FILES)][:SAMPLE_FILES]:
        # An error is suppressed here: embedding the recording tells what is wrong.
        with suppress(DataError), open_audio(source, sample_rate=SAMPLE_RATE) as audio:
            sample.append(np.concatenate(list(audio.blocks(seconds=SAMPLE_SECONDS))))
    return sample


def _warn_of_channels(totals: Totals) -> None:
    """Warn once of all the recordings whose mix may hold several voices."""
    if named := totals.channels_differ:
        rest = totals.warnings[CHANNELS_DIFFER] - len(named)
        names = ", ".join(map(printable, named)) + (f" and {rest} more" if rest else "")
        log.warning("channels differ in %s: embed with `channel=each` if each channel has its own speaker", names)
