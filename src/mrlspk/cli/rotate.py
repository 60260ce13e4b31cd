"""``mrlspk rotate``: make a Matryoshka model from any model, without training."""

import shlex
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from mrlspk.cli import output
from mrlspk.cli.corpus_option import CorpusChoice, ExcludeFiles
from mrlspk.cli.options import (
    LARGEST_SEED,
    MOST,
    AsJson,
    BatchSize,
    ChannelChoice,
    Debug,
    Device,
    Force,
    Quiet,
    Speech,
    check_speech,
    choose_device,
    find_cache_folder,
    model_argument,
    model_entry,
    parse_dims,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.rotate_text import fitted_speech, next_command, rotated_payload, rotated_text, transform_name
from mrlspk.cli.trial_options import TRANSFORM, NoCache
from mrlspk.cli.vectors import IdsPath, SpeakersPath
from mrlspk.data.choices import AUTO
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.workflows.rotate import RotatedModel
    from mrlspk.workflows.transform_vectors import FittedTransform, TransformRequest


class MethodChoice(StrEnum):
    """Methods to fit a rotation."""

    AUTO = "auto"
    SVD = "svd"
    CLASS_SVD = "class_svd"
    BETWEEN_WITHIN = "between_within"
    LDA_QR = "lda_qr"


class OrderChoice(StrEnum):
    """Orders of the new values of a transform."""

    ENERGY = "energy"
    SCATTER = "scatter"


def rotate_command(
    model: Annotated[str | None, model_argument("Path, or a name that `pretrained list` shows.")] = None,
    *,
    out: Annotated[
        Path,
        option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write: .pt, .safetensors, or .npz."),
    ],
    speech: Annotated[
        Path | None,
        option(Panel.DATA, metavar="<folder>", help="Folder with one subfolder per speaker; leave test speakers out."),
    ] = None,
    corpus: CorpusChoice = AUTO,
    exclude: ExcludeFiles = None,
    vectors: Annotated[
        Path | None,
        option(
            Panel.DATA,
            metavar="<file>",
            help="Labelled vectors in place of MODEL and --speech: .npz, .npy, .ark, .scp, .parquet, .jsonl.",
        ),
    ] = None,
    speakers: SpeakersPath = None,
    ids: IdsPath = None,
    centre: Annotated[
        bool, option(Panel.FITTING, "--centre", help="Subtract the mean of the speakers' means.")
    ] = False,
    flatten: Annotated[
        float | None,
        option(
            Panel.FITTING,
            min=0,
            max=0.5,
            metavar="<power>",
            help="Scale each direction by the variance within speakers to the power of -FLATTEN, e.g. 0.2. Default: 0.",
        ),
    ] = None,
    order: Annotated[
        OrderChoice | None,
        option(
            Panel.FITTING,
            help="Order of the new values: by energy, or by scatter between minus within speakers. "
            "Default: energy with --centre, --flatten or --vectors; else --method orders them.",
        ),
    ] = None,
    method: Annotated[
        MethodChoice,
        option(Panel.FITTING, help="Method to fit the rotation; auto selects the best on held-out speakers."),
    ] = MethodChoice.AUTO,
    dims: Annotated[
        str | None,
        option(
            Panel.MODEL,
            "--dims",
            metavar="<dims>",
            help="Widths beside the full one, e.g. 16,32,64. Default: 64,128 and those that the model has.",
        ),
    ] = None,
    utterances_per_speaker: Annotated[
        int, option(Panel.DATA, min=1, max=MOST, metavar="<n>", help="Utterances drawn per speaker.")
    ] = 10,
    max_speakers: Annotated[
        int, option(Panel.DATA, min=1, max=MOST, metavar="<n>", help="Speakers drawn from the folder.")
    ] = 1000,
    crop_seconds: Annotated[
        float,
        option(
            Panel.FITTING,
            min=0.3,
            max=3600,
            metavar="<seconds>",
            help="Crop length of the trials that --method auto compares on.",
        ),
    ] = 1.0,
    detector: Annotated[Speech | None, speech_option("all", "--speech-detector")] = None,
    channel: ChannelChoice = None,
    seed: Annotated[int, option(Panel.FITTING, min=0, max=LARGEST_SEED, metavar="<n>", help="Seed of all draws.")] = 0,
    batch_size: BatchSize = None,
    force: Force = False,
    no_cache: NoCache = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Make a Matryoshka model from any model, without training.

    It rotates embeddings so that their first values carry the most speaker information.
    Full-width cosines do not change, unless --centre or --flatten is given.

    Example:
        mrlspk rotate redimnet-b2-vox2-ft_lm --speech speech -o rotated.pt
    """
    transform = _transform(method, order, centre=centre, flatten=flatten)
    if vectors is not None:
        if model is not None or speech is not None:
            raise UsageError("vectors have no model and no speech", fix="Leave them out.", parameter="vectors")
        _fit_to_vectors(
            vectors, transform, dims=dims, speakers=speakers, ids=ids, out=out, force=force, as_json=as_json
        )
        return
    if model is None or speech is None:
        given = "MODEL" if model is None else shlex.quote(model)
        fix = f"Example: mrlspk rotate {given} --speech DIR -o {shlex.quote(str(out))}"
        raise UsageError("expected a model and `speech`, or `vectors`", fix=fix)
    if out.suffix == TRANSFORM and method is not MethodChoice.AUTO:
        fix = "Give `centre`, `flatten` or `order` instead, or an output that ends in .pt."
        raise UsageError("a transform is fitted by no method of rotations", fix=fix, parameter="method")
    from mrlspk.files import UnwrittenError
    from mrlspk.workflows.rotate import RotateRequest, rotate
    from mrlspk.workflows.transform_model import transform_model

    request = RotateRequest(
        method=method.value,
        dims=parse_dims(dims),
        utterances_per_speaker=utterances_per_speaker,
        max_speakers=max_speakers,
        crop_seconds=crop_seconds,
        seed=seed,
        transform=transform,
        corpus=corpus,
        exclude=tuple(exclude or ()),
    )
    settings = read_config(
        None, None, batch_size=batch_size, speech=detector, channel=channel, cache=False if no_cache else None
    )
    check_speech(settings.evaluation.speech)
    file = resolve_model(model, quiet=quiet)

    def run[T](workflow: Callable[..., T]) -> T:
        with output.progress("embedding", quiet=quiet) as on_progress:
            return workflow(
                file,
                speech,
                output=out,
                request=request,
                settings=settings.evaluation,
                device=choose_device(device, settings),
                cache_dir=find_cache_folder(),
                force=force,
                on_progress=on_progress,
            )

    if out.suffix == TRANSFORM:
        _show_fitted(run(transform_model), file, as_json=as_json)
        return
    try:
        rotated = run(rotate)
    except UnwrittenError as error:
        _show_rotated(cast("RotatedModel", error.result), file, as_json=as_json)
        raise
    _show_rotated(rotated, file, as_json=as_json)


def _show_rotated(rotated: "RotatedModel", model: "ModelFile", *, as_json: bool) -> None:
    output.show("rotate", rotated_payload(rotated, model), rotated_text(rotated), as_json=as_json)


def _transform(
    method: MethodChoice, order: OrderChoice | None, *, centre: bool, flatten: float | None
) -> "TransformRequest | None":
    """Return the requested transform; None for a rotation by a method.

    Raises:
        UsageError: If a method is given too.
    """
    from mrlspk.workflows.transform_vectors import TransformRequest

    if not centre and not flatten and order is None:
        return None
    if method is not MethodChoice.AUTO:
        what = "a method of rotations is given beside `centre`, `flatten` or `order`"
        raise UsageError(what, fix="Leave one of them out.", parameter="method")
    return TransformRequest(centre, flatten or 0.0, (order or OrderChoice.ENERGY).value)


def _fit_to_vectors(
    vectors: Path,
    transform: "TransformRequest | None",
    *,
    dims: str | None,
    speakers: Path | None,
    ids: Path | None,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    from mrlspk.workflows.transform_vectors import TransformRequest, fit_to_vectors

    request = transform or TransformRequest()
    fitted = fit_to_vectors(
        vectors, output=out, request=request, dims=parse_dims(dims), speakers=speakers, ids=ids, force=force
    )
    _show_fitted(fitted, None, as_json=as_json, vectors=vectors)


def _show_fitted(
    fitted: "FittedTransform", model: "ModelFile | None", *, as_json: bool, vectors: Path | None = None
) -> None:
    summary, base = fitted.transform.summary(), fitted.transform.base
    payload = {
        "path": str(fitted.path),
        "model": model and model_entry(model),
        "transform": summary,
        "speech": fitted.transform.speech,
        "speech_detector": fitted.transform.speech_detector,
        "fingerprint": fitted.transform.fingerprint,
        "base": base.model_dump() if base else None,
        "dims": list(fitted.transform.dims),
        "speakers": fitted.n_speakers,
        "vectors": fitted.n_vectors,
        "sha256": fitted.sha256,
        "bytes": fitted.bytes,
    }
    rows = [
        ("path", fitted.path),
        *([("base model", base.file)] if base else []),
        ("transform", transform_name(summary)),
        ("fitted to", f"{fitted.n_vectors:,} vectors of {fitted.n_speakers:,} speakers"),
        ("speech", fitted_speech(fitted.transform)),
        ("sha256", fitted.sha256),
        ("bytes", f"{fitted.bytes:,}"),
    ]
    human = [output.facts(rows), "", next_command(fitted.path, vectors=vectors)]
    output.show("rotate", payload, human, as_json=as_json)
