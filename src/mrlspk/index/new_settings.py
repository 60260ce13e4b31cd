"""Choose the settings of a new index by its model, or by the vectors that it is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrlspk import __version__
from mrlspk.config.base import Channel
from mrlspk.config.evaluation import EvaluationConfig, SpeechMode
from mrlspk.data.speech.build import build_detector
from mrlspk.errors import UsageError
from mrlspk.index.enrolment.profiles import ProfileLimit
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.vectors.table import Origin, VectorFile, speech_mode

if TYPE_CHECKING:
    from mrlspk.inference.speaker_encoder import SpeakerEncoder


@dataclass(frozen=True)
class Choices:
    """What the user chooses of a new index.

    Attributes:
        speech: Part of a recording to embed; None for what the vectors are of, or ``auto``.
        channel: Of a recording.
        profiles: Condition profiles of a voice.
    """

    speech: SpeechMode | None = None
    channel: Channel = "mix"
    profiles: ProfileLimit = 1


def settings_of_model(
    encoder: "SpeakerEncoder", named: str | PathLike[str] | None, choices: Choices, *, dim: int | None
) -> IndexSettings:
    """Return the settings of an index for audio.

    Args:
        encoder: The model.
        named: Path or name of the model; None if it has neither.
        choices: Of the user.
        dim: Store vectors of this width; None for the full one.

    Raises:
        UsageError: If the model was not trained for the width.
        MissingDependencyError: If the speech detector is not installed.
    """
    if dim is not None and dim not in encoder.dims:
        known = ", ".join(map(str, encoder.dims))
        raise UsageError(f"the model was not trained for a width of {dim}", fix=f"Its widths: {known}.")
    embed_dim = dim or encoder.embed_dim
    speech = choices.speech or "auto"
    detector = build_detector(speech)
    return IndexSettings(
        embed_dim=embed_dim,
        dims=tuple(each for each in encoder.dims if each <= embed_dim),
        fingerprint=encoder.fingerprint,
        model=None if named is None else _absolute(named),
        speech=speech,
        speech_detector=detector.version if detector else "",
        channel=choices.channel,
        max_seconds=EvaluationConfig().max_seconds,
        profiles=choices.profiles,
        **_made(embed_dim),
    )


def settings_of_vectors(
    file: VectorFile | None, choices: Choices, *, dim: int | None, dims: Sequence[int] | None
) -> IndexSettings:
    """Return the settings of an index without a model.

    Args:
        file: Vectors that it is for; None for any of ``dim`` values.
        choices: Of the user.
        dim: Width to store; None for that of the file.
        dims: Widths that searches may compare, beside the stored one; None for those that the file names.

    Raises:
        UsageError: If the width is neither given nor that of a file, or the file is narrower.
        DataError: If the file cannot be read.
    """
    width = None if file is None else next(file.blocks())[1].shape[1]
    embed_dim = dim or width
    if embed_dim is None:
        fix = "Give `model`, `vectors` or `dim`."
        raise UsageError("expected a model, vectors, or the width of the vectors to come", fix=fix)
    if file is not None and width is not None and width < embed_dim:
        raise UsageError(f"the vectors have {width} values, fewer than {embed_dim}", file.path)
    known = Origin() if file is None else file.origin
    widths = dims or known.dims or ()
    return IndexSettings(
        embed_dim=embed_dim,
        dims=tuple(sorted({each for each in widths if each < embed_dim} | {embed_dim})),
        fingerprint=known.fingerprint,
        speech=choices.speech or speech_mode(known.speech_detector) or "auto",
        speech_detector=known.speech_detector,
        channel=choices.channel,
        profiles=choices.profiles,
        **_made(embed_dim),
    )


def _made(embed_dim: int) -> dict[str, Any]:
    """Return the shortlist of a new index, and when it was made by which version."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"shortlist": ShortlistSpec.default(embed_dim), "created": created, "mrlspk_version": __version__}


def _absolute(model: str | PathLike[str]) -> str:
    """Return a model's path so that it is found from any folder, or its name."""
    path = Path(model)
    return str(path.absolute()) if path.is_file() else str(model)
