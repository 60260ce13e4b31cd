"""``mrlspk embed``: embed audio files."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.embed_progress import duration, embed_progress
from mrlspk.cli.options import (
    EACH,
    MOST,
    WIDEST,
    AsJson,
    BatchSize,
    Debug,
    Device,
    Force,
    ModelOption,
    Quiet,
    Speech,
    TrustCode,
    channel_option,
    check_speech,
    choose_device,
    find_cache_folder,
    model_entry,
    read_config,
    resolve_model,
    speech_option,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.errors import DataError, MrlspkError, UsageError

if TYPE_CHECKING:
    from mrlspk.workflows.embed import EmbedReport


MOST_ROWS = 20  # files that a row each is shown for

log = logging.getLogger("mrlspk.evaluation")


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
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Audio files, folders, .txt lists, wav.scp, or - for paths on stdin."),
    ],
    *,
    model: ModelOption = None,
    dim: Annotated[
        int | None,
        option(Panel.MODEL, min=1, max=WIDEST, metavar="<dim>", help="Prefix width. Default: the full width."),
    ] = None,
    out: Annotated[
        Path | None,
        option(
            Panel.OUTPUT,
            "-o",
            "--output",
            metavar="<file>",
            help="Write embeddings to this .npz, .jsonl or .parquet file.",
        ),
    ] = None,
    allow_untrained_dim: Annotated[
        bool, option(Panel.MODEL, "--allow-untrained-dim", help="Allow a width that the model was not trained for.")
    ] = False,
    speech: Annotated[Speech, speech_option("auto")] = Speech.AUTO,
    channel: Annotated[str | None, channel_option(each=True)] = None,
    batch_size: BatchSize = None,
    backend: Annotated[
        BackendChoice, option(Panel.MACHINE, help="What runs the network; auto: the fastest that is installed.")
    ] = BackendChoice.AUTO,
    precision: Annotated[
        PrecisionChoice, option(Panel.MACHINE, help="Of the network. bf16 and int8 report their cosine to f32.")
    ] = PrecisionChoice.F32,
    compiled: Annotated[
        bool,
        option(Panel.MACHINE, "--compile", help="Call PyTorch's network through torch.compile; it takes minutes once."),
    ] = False,
    resume: Annotated[
        bool, option(Panel.OUTPUT, "--resume", help="Take up FILE.partial of a run that was stopped.")
    ] = False,
    verify: Annotated[
        int,
        option(
            Panel.OUTPUT,
            min=0,
            max=MOST,
            metavar="<n>",
            help="Embed N files again, each by itself; fail above a difference of 1e-5.",
        ),
    ] = 0,
    table: Annotated[
        bool, option(Panel.OUTPUT, "--table", help="Show a row for each file, however many, also with -o.")
    ] = False,
    force: Force = False,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Embed recordings: one vector of unit length each.

    Without -o the beginning of each vector is shown.

    Example:
        mrlspk embed call.m4a
        mrlspk embed recordings/ --dim 64 -o voices.npz
    """
    from mrlspk.workflows.embed import embed
    from mrlspk.workflows.embed_inputs import refuse_missing
    from mrlspk.workflows.embedding_files import claim_target, write_embeddings
    from mrlspk.workflows.embedding_spool import open_spool

    if resume and out is None:
        raise UsageError("needs a file to resume", fix="Give `output` as before.", parameter="resume")
    claim = None if out is None else ctx.with_resource(claim_target(out, force=force, resume=resume))
    check_speech(speech.value)
    each = channel == EACH
    settings = read_config(None, None, channel=None if each else channel)
    refuse_missing(inputs)
    file = resolve_model(model, quiet=quiet, trust_code=trust_code)
    spool = ctx.with_resource(open_spool(claim))
    with embed_progress(quiet=quiet) as on_progress:
        report = embed(
            file,
            _typed(inputs),
            spool=spool,
            config=settings,
            dim=dim,
            speech=speech.value,
            each_channel=each,
            allow_untrained_dim=allow_untrained_dim,
            device=choose_device(device, settings),
            backend=backend.value,
            precision=precision.value,
            compile=compiled,
            cache_dir=find_cache_folder(),
            batch_size=batch_size,
            verify=verify,
            on_found=None if as_json or claim else _warn_of_many,
            on_progress=on_progress,
        )
    is_written = claim is not None and len(report.embeddings) > 0
    has_rows = table or (claim is None and len(report.embeddings) <= MOST_ROWS)
    try:
        if claim and is_written:
            write_embeddings(report, claim)
    except MrlspkError:  # a full disk does not lose them
        _show(report, has_rows=has_rows, as_json=as_json)
        raise
    _show(report, has_rows=has_rows, as_json=as_json)
    if is_written and not as_json:
        count = len(report.embeddings)
        output.line(f"{count:,} {'embedding' if count == 1 else 'embeddings'} written to {out}")
    _check_all(report)


def _show(report: "EmbedReport", *, has_rows: bool, as_json: bool) -> None:
    from mrlspk.workflows.embedding_files import embedding_rows

    if as_json:
        output.show_rows("embed", _payload(report), "embeddings", embedding_rows(report))
    else:
        output.show("embed", {}, _human(report, has_rows=has_rows), as_json=False)


def _warn_of_many(n_files: int) -> None:
    if n_files > MOST_ROWS:
        log.warning("the embeddings of %d files are not kept: give `output`", n_files)


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
    """Return the keys of the JSON document beside ``embeddings``."""
    errors = [{"id": file_id, "message": message} for file_id, message in report.errors.items()]
    return {
        "model": model_entry(report.model),
        "fingerprint": report.fingerprint,
        "backend": report.backend,
        "precision": report.precision,
        "precision_cosine": asdict(report.precision_cosine) if report.precision_cosine else None,
        "speech": report.speech,
        "speech_detector": report.speech_detector,
        "files": len(report.embeddings),
        "resumed": report.n_resumed,
        "audio_seconds": report.audio_seconds,
        "seconds": report.seconds,
        **({"verified": asdict(report.verified)} if report.verified else {}),
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


def _human(report: "EmbedReport", *, has_rows: bool) -> Iterator[RenderableType]:
    if not report.embeddings:
        return
    if has_rows:
        columns = "file", "seconds", "speech", "width", "embedding", "warnings"
        yield output.table(None, columns, _table_rows(report))
    if not has_rows or len(report.embeddings) > 1 or report.precision_cosine or report.verified:
        yield output.facts(_summary(report))


def _table_rows(report: "EmbedReport") -> Iterator[tuple[object, ...]]:
    for file_id, item in report.embeddings:
        yield (
            file_id,
            f"{item.seconds:.2f}",
            "all" if item.speech_seconds is None else f"{item.speech_seconds:.2f}",
            report.dim,
            " ".join(f"{value:+.4f}" for value in item.vector[:4]) + (" …" if report.dim > 4 else ""),
            ", ".join(item.warnings),
        )


def _summary(report: "EmbedReport") -> Iterator[tuple[str, str]]:
    n_files, new_seconds = len(report.embeddings), report.new_audio_seconds
    resumed = f", {report.n_resumed:,} of them by an earlier run" if report.n_resumed else ""
    yield "embedded", f"{n_files:,} {'file' if n_files == 1 else 'files'}, {duration(report.audio_seconds)}{resumed}"
    if report.seconds > 0 and new_seconds:
        yield "time", f"{report.seconds:.1f} s, {new_seconds / report.seconds:.0f} times real time"
    yield "network", f"{report.backend}, {report.precision}, {report.dim} values"
    if cosine := report.precision_cosine:
        yield "cosine to f32", f"mean {cosine.mean:.6f}, lowest {cosine.min:.6f} on {cosine.files} recordings"
    if found := report.verified:
        yield "verified", f"{found.files:,} embedded again singly, largest difference {found.max_difference:.1e}"
    if report.warnings:
        yield "warnings", ", ".join(f"{name} {count:,}" for name, count in report.warnings.items())
