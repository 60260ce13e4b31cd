"""``mrlspk embed``: embed audio files."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import (
    EACH,
    MOST,
    WIDEST,
    AsJson,
    Debug,
    Device,
    Force,
    Quiet,
    Speech,
    channel_option,
    check_speech,
    choose_device,
    find_cache_folder,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.errors import DataError, UsageError

if TYPE_CHECKING:
    from mrlspk.workflows.embed import EmbedReport


class BackendChoice(StrEnum):
    """What may run the network."""

    AUTO = "auto"
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


class PrecisionChoice(StrEnum):
    """Precisions of the network."""

    F32 = "f32"
    BF16 = "bf16"
    INT8 = "int8"


def embed_command(
    ctx: typer.Context,
    inputs: Annotated[list[str], typer.Argument(help="Audio files, folders, .txt lists, or - for paths on stdin.")],
    *,
    model: Annotated[str | None, typer.Option(help="Path or published name. Default: the newest run's best.")] = None,
    dim: Annotated[int | None, typer.Option(min=1, max=WIDEST, help="Prefix width. Default: the full width.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write embeddings to this .npz, .jsonl or .parquet file.")
    ] = None,
    allow_untrained_dim: Annotated[
        bool, typer.Option("--allow-untrained-dim", help="Allow a width that the model was not trained for.")
    ] = False,
    speech: Annotated[Speech, speech_option("auto")] = Speech.AUTO,
    channel: Annotated[str | None, channel_option(each=True)] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, help="Files of equal length embedded together. Default: the configuration's."),
    ] = None,
    backend: Annotated[
        BackendChoice, typer.Option(help="What runs the network; auto: the fastest that is installed.")
    ] = BackendChoice.AUTO,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Of the network. bf16 and int8 report their cosine to f32.")
    ] = PrecisionChoice.F32,
    resume: Annotated[bool, typer.Option("--resume", help="Take up FILE.partial of a run that was stopped.")] = False,
    force: Force = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Embed audio files: one unit-length vector each, at any width that the model was trained for."""
    from mrlspk.workflows.embed import embed
    from mrlspk.workflows.embedding_files import claim_target, write_embeddings
    from mrlspk.workflows.embedding_spool import Spool

    if resume and out is None:
        raise UsageError("needs a file to resume", fix="Give `output` as before.", parameter="resume")
    claim = None if out is None else ctx.with_resource(claim_target(out, force=force, resume=resume))
    check_speech(speech.value)
    each = channel == EACH
    settings, file = read_config(None, None, channel=None if each else channel), resolve_model(model, quiet=quiet)
    with output.progress("embedding", quiet=quiet) as on_progress:
        report = embed(
            file,
            _typed(inputs),
            config=settings,
            dim=dim,
            speech=speech.value,
            each_channel=each,
            allow_untrained_dim=allow_untrained_dim,
            device=choose_device(device, settings),
            backend=backend.value,
            precision=precision.value,
            cache_dir=find_cache_folder(),
            batch_size=batch_size,
            spool=Spool(claim) if claim else None,
            on_progress=on_progress,
        )
    is_written = claim is not None and bool(report.embeddings)
    try:
        if claim is not None and report.embeddings:
            write_embeddings(report, claim)
    finally:  # a full disk does not lose them
        output.show("embed", _payload(report), _human(report), as_json=as_json)
    if report.precision_cosine and not as_json:
        cosine = report.precision_cosine
        output.line(f"cosine to f32 on {cosine.files} recordings: mean {cosine.mean:.6f}, lowest {cosine.min:.6f}")
    if is_written and not as_json:
        output.line(f"{len(report.embeddings)} embeddings written to {out}")
    _check_all(report)


def _typed(inputs: list[str]) -> list[str]:
    return [path for typed in inputs for path in (_from_stdin() if typed == "-" else [typed])]


def _from_stdin() -> list[str]:
    fix = "Send one path per line, as UTF-8."
    if sys.stdin is None:
        raise DataError("is closed", "stdin", fix)
    from mrlspk.workflows.embed_inputs import split_lines

    try:
        text = sys.stdin.read().removeprefix("\ufeff")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", "stdin", fix) from error
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", "stdin", fix) from error
    return split_lines(text)


def _payload(report: "EmbedReport") -> dict[str, object]:
    from mrlspk.workflows.embedding_files import embedding_rows

    errors = [{"id": file_id, "message": message} for file_id, message in report.errors.items()]
    return {
        "model": report.model,
        "fingerprint": report.fingerprint,
        "backend": report.backend,
        "precision": report.precision,
        "precision_cosine": asdict(report.precision_cosine) if report.precision_cosine else None,
        "speech": report.speech,
        "speech_detector": report.speech_detector,
        "embeddings": embedding_rows(report),
        "errors": errors,
        "left_out": [each.entry() for each in report.left_out],
    }


def _check_all(report: "EmbedReport") -> None:
    """Raise DataError if a file has no embedding."""
    if report.errors:
        total = len(report.errors) + len(report.embeddings)
        failed = "\n".join(report.errors.values())
        counted = f"{len(report.errors)} of {total} files could not be embedded:\n"
        raise DataError(failed if total == 1 else counted + failed)


def _human(report: "EmbedReport") -> Iterator[RenderableType]:
    rows = [
        (
            file_id,
            f"{item.seconds:.2f}",
            "all" if item.speech_seconds is None else f"{item.speech_seconds:.2f}",
            report.dim,
            " ".join(f"{value:+.4f}" for value in item.vector[:4]) + (" …" if report.dim > 4 else ""),
            ", ".join(item.warnings),
        )
        for file_id, item in report.embeddings.items()
    ]
    if rows:
        yield output.table(None, ("file", "seconds", "speech", "width", "embedding", "warnings"), rows)
