"""``mrlspk pretrained fetch``, ``inspect``, ``convert`` and ``add``."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mrlspk.cli import output
from mrlspk.cli.commands import Commands
from mrlspk.cli.inspect_text import exported_calibration, inspection_payload, inspection_text
from mrlspk.cli.options import (
    AsJson,
    Bundle,
    CacheDir,
    Debug,
    Force,
    Quiet,
    cache_folder,
    find_cache_folder,
    mirror_address,
    model_argument,
    model_entry,
    resolve_model,
)
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.pretrained_list import list_command
from mrlspk.cli.rotate_text import fitted_speech, transform_name
from mrlspk.errors import CheckpointError

if TYPE_CHECKING:
    from mrlspk.workflows.pretrained import InspectedGraph, InspectedSpeakerModel, InspectedTransform


def fetch_command(
    name_or_url: Annotated[str, model_argument("Published name, or URL.", "NAME_OR_URL")],
    *,
    cache_dir: CacheDir = None,
    sha256: Annotated[
        str | None, option(Panel.DOWNLOAD, metavar="<sha256>", help="Expected SHA-256 of the file.")
    ] = None,
    offline: Annotated[bool, option(Panel.DOWNLOAD, "--offline", help="Never use the network.")] = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Download a published model and verify it.

    A file that is here already is only verified. An interrupted download resumes where it stopped.
    MRLSPK_MIRROR is a URL or a folder with copies of the published files.

    Example:
        mrlspk pretrained fetch redimnet-b2-vox2-ft_lm
    """
    from mrlspk.pretrained import fetch_model
    from mrlspk.pretrained.cache_folder import shown

    folder, mirror = cache_dir or cache_folder(), mirror_address()
    with output.progress(shown(name_or_url), quiet=quiet, is_bytes=True) as on_progress:
        fetched = fetch_model(
            name_or_url,
            cache_dir=folder,
            mirror=mirror,
            sha256=sha256,
            offline=offline,
            force=force,
            on_progress=on_progress,
        )
    payload = dataclasses.asdict(fetched) | {"path": str(fetched.path)}
    rows = [("name", fetched.name), ("path", fetched.path), ("sha256", fetched.sha256), ("bytes", fetched.bytes)]
    output.show("pretrained fetch", payload, [output.facts(rows)], as_json=as_json)


def inspect_command(
    file: Annotated[str, model_argument("Checkpoint, .onnx file, or a name from `pretrained list`.", "FILE")],
    *,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show what a model file holds, and which entries load.

    Of a checkpoint it shows the layout, configuration and parameters.

    Of an exported .onnx file it shows what the file says of itself, and of an ONNX speaker model of another toolkit its
    front end and size (`model describe` shows more). Of a transform (.npz) it shows the widths and the base model.

    Exits 1 if an entry is missing, unexpected or of another shape, after it is shown.

    Example:
        mrlspk pretrained inspect best.pt
    """
    from mrlspk.workflows.pretrained import (
        inspect_exported,
        inspect_pretrained,
        inspect_speaker_model,
        inspect_transform,
    )

    model = resolve_model(file, quiet=quiet)
    entry = {"model": model_entry(model)}
    if model.path.suffix.lower() == ".npz":
        payload, rows = _transform(inspect_transform(model.path))
        output.show("pretrained inspect", payload | entry, [output.facts(rows)], as_json=as_json)
        return
    if model.path.suffix.lower() == ".onnx":
        exported = inspect_exported(model.path)
        payload, rows = _exported(exported) if exported else _speaker_model(inspect_speaker_model(model))
        output.show("pretrained inspect", payload | entry, [output.facts(rows)], as_json=as_json)
        return
    found = inspect_pretrained(model)
    output.show("pretrained inspect", inspection_payload(found) | entry, inspection_text(found), as_json=as_json)
    if not found.model.report.is_whole:
        raise CheckpointError(
            "its weights do not fit its own configuration", found.path, "If it was downloaded, fetch it again."
        )


def _exported(found: "InspectedGraph") -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """Return the JSON document and the rows of an exported model."""
    model = found.metadata
    described = model.model_dump(mode="json", exclude={"calibration", "checks", "version"})
    file = {"path": str(found.path), "sha256": found.sha256, "bytes": found.bytes, "format": "onnx"}
    payload = file | described | {"embed_dim": model.dims[-1], "calibrated": model.calibration is not None}
    rows: list[tuple[str, object]] = [
        ("file", found.path),
        ("sha256", found.sha256),
        ("bytes", f"{found.bytes:,}"),
        ("format", "onnx"),
        ("exported from the layout", model.family),
        ("input", model.input),
        ("widths", ", ".join(map(str, model.dims))),
        ("least audio", f"{model.min_samples} samples at {model.sample_rate} Hz"),
        ("calibration", exported_calibration(model.calibration)),
        ("licence", model.licence),
        ("fingerprint", model.fingerprint),
    ]
    return payload, rows


def _transform(found: "InspectedTransform") -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """Return the JSON document and the rows of a transform."""
    transform, base = found.transform, found.transform.base
    summary = transform.summary()
    payload = {
        "path": str(found.path),
        "sha256": found.sha256,
        "bytes": found.bytes,
        "format": "npz",
        "transform": summary,
        "base": base.model_dump() if base else None,
        "speech": transform.speech,
        "speech_detector": transform.speech_detector,
        "fingerprint": transform.fingerprint,
        "embed_dim": transform.embed_dim,
        "dims": list(transform.dims),
    }
    rows: list[tuple[str, object]] = [
        ("file", found.path),
        ("sha256", found.sha256),
        ("bytes", f"{found.bytes:,}"),
        ("layout", "transform"),
        ("base model", base.file if base else "none: for vectors alone"),
        ("transform", transform_name(summary)),
        ("fitted to", fitted_speech(transform)),
        ("widths", ", ".join(map(str, transform.dims))),
    ]
    return payload, rows


def _speaker_model(found: "InspectedSpeakerModel") -> tuple[dict[str, Any], list[tuple[str, object]]]:
    """Return the JSON document and the rows of an ONNX speaker model of another toolkit."""
    described, model = found.described, found.described.description
    payload = {
        "path": str(described.path),
        "sha256": described.sha256,
        "bytes": described.bytes,
        "format": "onnx",
        "family": "onnx",
        "config": {"front_end": model.front_end.model_dump()} if model else {},
        "recognised_as": model.recognised_as if model else None,
        "parameters": described.parameters,
        "embed_dim": described.embed_dim,
        "dims": [described.embed_dim] if described.embed_dim else [],
        "licence": found.licence,
        "metadata": described.properties,
    }
    rows: list[tuple[str, object]] = [
        ("file", described.path),
        ("sha256", described.sha256),
        ("bytes", f"{described.bytes:,}"),
        ("layout", "onnx"),
        ("recognised as", (model.recognised_as if model else None) or "–"),
        ("front end", model.front_end.type if model else "not known: `mrlspk model describe` drafts a description"),
        ("parameters", f"{described.parameters:,}"),
        ("embedding", f"{described.embed_dim} values" if described.embed_dim else "–"),
        ("licence", found.licence),
        *((key, described.properties[key]) for key in ("language", "url") if described.properties.get(key)),
    ]
    return payload, rows


def convert_command(
    model: Annotated[str, model_argument("Checkpoint, or a name from `pretrained list`.")],
    *,
    out: Annotated[
        Path, option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="File to write: .pt or .safetensors.")
    ],
    adapter: Annotated[
        Path | None,
        option(
            Panel.MODEL,
            metavar="<folder>",
            help="Folder of LoRA adapters of a run that trained on MODEL; they are merged into it.",
        ),
    ] = None,
    bundle: Bundle = False,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Convert a checkpoint of any layout to mrlspk's own.

    The file holds no training state.

    Example:
        mrlspk pretrained convert published.pt -o model.safetensors
    """
    from mrlspk.workflows.pretrained import convert_pretrained

    cache_dir = find_cache_folder()
    file = resolve_model(model, quiet=quiet)
    converted = convert_pretrained(file, out, cache_dir=cache_dir, adapter=adapter, bundle=bundle, force=force)
    beside = converted.calibration and str(converted.calibration)
    files = {"path": str(converted.path), "calibration": beside, "model": model_entry(file)}
    payload = dataclasses.asdict(converted) | files
    rows = [
        ("path", converted.path),
        ("from the layout", converted.family),
        ("widths", ", ".join(map(str, converted.dims))),
        ("sha256", converted.sha256),
        ("bytes", f"{converted.bytes:,}"),
        *([("calibration", beside)] if beside else []),
    ]
    output.show("pretrained convert", payload, [output.facts(rows)], as_json=as_json)


def add_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint of any layout that mrlspk reads.")],
    *,
    name: Annotated[
        str,
        option(Panel.MODEL, "--name", metavar="<name>", help="Name of the model: lower-case letters, digits, . _ + -"),
    ],
    licence: Annotated[
        str | None,
        option(
            Panel.MODEL,
            "--licence",
            metavar="<licence>",
            help="Licence of the weights. Default: from its model card or the registry.",
        ),
    ] = None,
    cache_dir: CacheDir = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,  # noqa: ARG001 - there is no progress to leave out
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Keep a copy of your own model under a name.

    Every MODEL argument accepts the name.

    Training state (optimiser, classifier weights) is left out. The file is verified every time it is used.

    Example:
        mrlspk pretrained add best.pt --name my-model
    """
    from mrlspk.workflows.pretrained import add_pretrained

    added = add_pretrained(file, name, licence=licence, cache_dir=cache_dir or cache_folder(), force=force)
    model = added.model
    payload = {
        "name": model.name,
        "path": str(added.path),
        "sha256": model.sha256,
        "bytes": model.bytes,
        "family": model.family,
        "dims": list(model.dims),
        "licence": model.licence,
        "non_commercial": model.non_commercial,
        "calibration": added.calibration and str(added.calibration),
    }
    shown = payload | {
        "dims": ", ".join(map(str, model.dims)),
        "non_commercial": {True: "yes", False: "no", None: "unknown"}[model.non_commercial],
        "calibration": added.calibration or "none",
    }
    rows = [(key.replace("_", " "), value) for key, value in shown.items()]
    output.show("pretrained add", payload, [output.facts(rows)], as_json=as_json)


pretrained_app = Commands(help="List, fetch, inspect and convert models; add your own.")
pretrained_app.command("list")(list_command)
pretrained_app.command("fetch")(fetch_command)
pretrained_app.command("inspect")(inspect_command)
pretrained_app.command("convert")(convert_command)
pretrained_app.command("add")(add_command)
