"""``mrlspk rotate``: make a Matryoshka model from any model, without training."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import (
    LARGEST_SEED,
    MOST,
    AsJson,
    ChannelChoice,
    Debug,
    Device,
    Force,
    Quiet,
    Speech,
    cache_folder,
    check_speech,
    choose_device,
    parse_dims,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.cli.output import percent
from mrlspk.cli.trial_options import NoCache

if TYPE_CHECKING:
    from mrlspk.rotation.selection import CandidateResult
    from mrlspk.workflows.rotate import RotatedModel


class MethodChoice(StrEnum):
    """Methods to fit a rotation."""

    AUTO = "auto"
    SVD = "svd"
    CLASS_SVD = "class_svd"
    BETWEEN_WITHIN = "between_within"
    LDA_QR = "lda_qr"


def rotate_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Path, or a name that `pretrained list` shows.")],
    *,
    speech: Annotated[Path, typer.Option(help="Folder with one subfolder per speaker; leave test speakers out.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="File to write: .pt or .safetensors.")],
    method: Annotated[
        MethodChoice, typer.Option(help="Method to fit the rotation; auto selects the best on held-out speakers.")
    ] = MethodChoice.AUTO,
    dims: Annotated[
        str | None,
        typer.Option(
            "--dims", help="Widths beside the full one, e.g. 16,32,64. Default: 64,128 and those that the model has."
        ),
    ] = None,
    utterances_per_speaker: Annotated[int, typer.Option(min=1, max=MOST, help="Utterances drawn per speaker.")] = 10,
    max_speakers: Annotated[int, typer.Option(min=1, max=MOST, help="Speakers drawn from the folder.")] = 1000,
    crop_seconds: Annotated[
        float,
        typer.Option(min=0.3, max=3600, help="Crop length of the trials that --method auto compares on."),
    ] = 1.0,
    detector: Annotated[Speech | None, speech_option("all", "--speech-detector")] = None,
    channel: ChannelChoice = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of all draws.")] = 0,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Files of equal length embedded together. Default: the configuration's."),
    ] = None,
    force: Force = False,
    no_cache: NoCache = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Rotate a model's embedding so that its first values carry the most speaker information.

    Full-width cosines do not change.
    """
    from mrlspk.workflows.rotate import RotateRequest, rotate

    request = RotateRequest(
        method=method.value,
        dims=parse_dims(dims),
        utterances_per_speaker=utterances_per_speaker,
        max_speakers=max_speakers,
        crop_seconds=crop_seconds,
        seed=seed,
    )
    settings = read_config(
        None, None, batch_size=batch_size, speech=detector, channel=channel, cache=False if no_cache else None
    )
    check_speech(settings.evaluation.speech)
    file = resolve_model(model, quiet=quiet)
    with output.progress("embedding", quiet=quiet) as on_progress:
        rotated = rotate(
            file,
            speech,
            output=out,
            request=request,
            settings=settings.evaluation,
            device=choose_device(device, settings),
            cache_dir=cache_folder(),
            force=force,
            on_progress=on_progress,
        )
    output.show("rotate", _payload(rotated), _human(rotated), as_json=as_json)


def _payload(rotated: "RotatedModel") -> dict[str, Any]:
    entry = rotated.choice.entry()
    rotation = {key: entry[key] for key in ("method", "parameter", "spectrum", "choice") if key in entry}
    return {
        "path": str(rotated.path),
        "rotation": rotation,
        "speech": rotated.speech,
        "speech_detector": rotated.speech_detector,
        "dims": list(rotated.dims),
        "speakers": rotated.n_speakers,
        "utterances": rotated.n_utterances,
        "sha256": rotated.sha256,
        "bytes": rotated.bytes,
    }


def _human(rotated: "RotatedModel") -> Iterator[RenderableType]:
    rotation, results = rotated.choice.rotation, rotated.choice.results
    if results:
        header = ("rotation", *(f"EER % at {width}" for width in results[0].eer), "mean log EER")
        yield output.table(None, header, (_row(result) for result in results))
        counts = f"{rotated.choice.n_target} target and {rotated.choice.n_nontarget} non-target trials"
        yield f"on {counts} of held-out speakers"
        yield ""
    shares = (f"{dim}: {100 * rotation.spectrum[:dim].sum():.1f} %" for dim in rotated.dims)
    yield output.facts(
        [
            ("path", rotated.path),
            ("rotation", _name(rotation.method, rotation.parameter)),
            ("fitted to", f"{rotated.n_utterances} utterances of {rotated.n_speakers} speakers"),
            *([("speech", rotated.speech_detector)] if rotated.speech_detector else []),
            ("energy by width", ", ".join(shares)),
            ("sha256", rotated.sha256),
            ("bytes", f"{rotated.bytes:,}"),
        ]
    )


def _row(result: "CandidateResult") -> tuple[str, ...]:
    rates = map(percent, result.eer.values())
    return _name(result.method, result.parameter), *rates, f"{result.mean_log_eer:.3f}"


def _name(method: str, parameter: float | None) -> str:
    return method if parameter is None else f"{method} {parameter:g}"
