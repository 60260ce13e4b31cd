"""``mrlspk export``: write a model as a file that needs no PyTorch."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mrlspk.cli import output
from mrlspk.cli.options import (
    AsJson,
    Debug,
    Force,
    Quiet,
    find_cache_folder,
    model_argument,
    model_entry,
    resolve_model,
)
from mrlspk.cli.panels import Panel, option

if TYPE_CHECKING:
    from mrlspk.models.graph_metadata import GraphMetadata
    from mrlspk.workflows.export import ExportedModel


class FormatChoice(StrEnum):
    """Formats of exported models."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    SAFETENSORS = "safetensors"
    OPENVINO = "openvino"


class InputChoice(StrEnum):
    """What an exported model reads."""

    WAVEFORM = "waveform"
    FEATURES = "features"


def export_command(
    model: Annotated[str, model_argument("Checkpoint, ONNX speaker model, transform of one, or a name.")],
    *,
    out: Annotated[
        Path,
        option(
            Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write: .onnx, .ts, .safetensors or .xml."
        ),
    ],
    format: Annotated[
        FormatChoice | None,
        option(
            Panel.OUTPUT,
            "--format",
            help="Format of the file; openvino also writes a .bin beside the .xml. Default: by its suffix.",
        ),
    ] = None,
    source: Annotated[
        InputChoice,
        option(
            Panel.MODEL,
            "--from",
            help="Input of the model: audio at 16 kHz, or log-mel features, without the front end.",
        ),
    ] = InputChoice.WAVEFORM,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Export a model to one file that runs without PyTorch.

    The file maps audio to an embedding.
    An ONNX speaker model of another toolkit, its front end, and the head or transform after it become one graph.
    The file is kept only if its embeddings equal the model's to 1e-4 at 0.3, 1, 3 and 10 seconds, alone and in batches.
    `embed`, `verify`, `eval`, `calibrate` and `compare` take a .onnx file as MODEL.

    Example:
        mrlspk export best.pt -o speaker.onnx
    """
    from mrlspk.workflows.export import export

    file = resolve_model(model, quiet=quiet)
    exported = export(
        file,
        out,
        cache_dir=find_cache_folder(),
        format=format.value if format else None,
        input=source.value,
        force=force,
    )
    payload = _payload(exported) | {"model": model_entry(file)}
    output.show("export", payload, [output.facts(_rows(exported))], as_json=as_json)


def _payload(exported: "ExportedModel") -> dict[str, Any]:
    metadata = exported.metadata
    return {
        "path": str(exported.path),
        "files": [str(path) for path in exported.files],
        "format": exported.format,
        "from": metadata.input,
        "dims": list(metadata.dims),
        "max_difference": exported.difference.max_difference,
        "cosine": exported.difference.cosine,
        "min_samples": metadata.min_samples,
        "fingerprint": metadata.fingerprint,
        "family": metadata.family,
        "licence": metadata.licence,
        "base": metadata.base,
        "front_end": metadata.front_end,
        "transform": metadata.transform,
        "calibrated": metadata.calibration is not None,
        "sha256": exported.sha256,
        "bytes": exported.bytes,
    }


def _rows(exported: "ExportedModel") -> list[tuple[str, object]]:
    metadata, difference = exported.metadata, exported.difference
    source = metadata.base["file"] if metadata.base else "PyTorch"
    return [
        ("path", ", ".join(map(str, exported.files))),
        ("format", exported.format),
        ("input", metadata.input),
        *([("front end", _front_end(metadata))] if metadata.front_end else []),
        ("widths", ", ".join(map(str, metadata.dims))),
        (f"largest difference from {source}", f"{difference.max_difference:.1e}"),
        (f"lowest cosine to {source}", f"{difference.cosine:.7f}"),
        ("calibration", "included" if metadata.calibration else "none"),
        ("licence", metadata.licence),
        ("sha256", exported.sha256),
        ("bytes", f"{exported.bytes:,}"),
    ]


def _front_end(metadata: "GraphMetadata") -> str:
    """Return the front end of a speaker model of another toolkit, and where it is."""
    assert metadata.front_end is not None
    place = "inside" if metadata.input == "waveform" else "left out: the metadata describe it"
    return f"{metadata.front_end['type']}, {place}"
