"""``mrlspk model describe``: show how an ONNX speaker model of another toolkit is run."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mrlspk.cli import output
from mrlspk.cli.commands import Commands
from mrlspk.cli.options import AsJson, Debug, Force, Quiet, model_argument, model_entry, resolve_model
from mrlspk.cli.panels import Panel, option

if TYPE_CHECKING:
    from mrlspk.workflows.describe_model import DescribedModel, FrontEndCheck


def describe_command(
    model: Annotated[str, model_argument("ONNX file of another toolkit, or a name from `pretrained list`.")],
    *,
    check: Annotated[
        Path | None,
        option(
            Panel.DATA,
            metavar="<folder>",
            help="Folder with one subfolder per speaker: check the front end on a few of them.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        option(Panel.OUTPUT, "-o", "--output", metavar="<file>", help="YAML file to write, such as MODEL.yaml."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show the front end, inputs and outputs of an ONNX model.

    For an unknown model it drafts the YAML file that describes it. The file belongs beside the model,
    with the suffix .yaml. `--check` embeds up to eight speakers and says whether recordings of one speaker stand out,
    and whether another window, scale or mean separates the speakers better.

    Example:
        mrlspk model describe model.onnx --check speech
    """
    from mrlspk.workflows.describe_model import describe_model

    file = resolve_model(model, quiet=quiet)
    described = describe_model(file, speech=check, output=out, force=force)
    if described.description is None:
        output.note(f"{described.path.name} is not recognised. This is a draft of {described.path.stem}.yaml:")
    text = output.facts(_rows(described)) if described.description else described.settings.rstrip("\n")
    payload = _payload(described) | {"model": model_entry(file)}
    output.show("model describe", payload, [text], as_json=as_json)
    if out is not None:
        output.note(f"description: {out}")


def _payload(described: "DescribedModel") -> dict[str, Any]:
    found = described.description
    return {
        "path": str(described.path),
        "sha256": described.sha256,
        "recognised_as": found.recognised_as if found else None,
        "described_by": found.source if found else None,
        "front_end": found.front_end.model_dump() if found else None,
        "sample_rate": found.sample_rate if found else None,
        "input": found.input.name if found else None,
        "axes": list(found.axes) if found else None,
        "lengths": found.lengths.name if found and found.lengths else None,
        "output": found.output.name if found else None,
        "embed_dim": described.embed_dim,
        "min_samples": described.min_samples,
        "batches": described.takes_batches,
        "inputs": [dataclasses.asdict(port) for port in described.ports.inputs],
        "outputs": [dataclasses.asdict(port) for port in described.ports.outputs],
        "metadata": described.properties,
        "notes": list(found.notes) if found else [],
        "yaml": described.settings,
        "check": _check(described.check) if described.check else None,
    }


def _check(check: "FrontEndCheck") -> dict[str, Any]:
    better = {change: dataclasses.asdict(other) for change, other in check.better.items()}
    return {
        **dataclasses.asdict(check.found),
        "separated": check.found.separated,
        "speakers": check.speakers,
        "recordings": check.recordings,
        "better": better,
    }


def _rows(described: "DescribedModel") -> list[tuple[str, object]]:
    found = described.description
    assert found is not None
    front_end = found.front_end.model_dump()
    rows: list[tuple[str, object]] = [
        ("file", described.path),
        ("recognised as", found.recognised_as or "–"),
        ("described by", found.source),
        ("front end", front_end.pop("type")),
        *((f"  {key}", "half the rate" if value is None else value) for key, value in front_end.items()),
        ("inputs and outputs", described.ports),
        ("axes", ", ".join(found.axes)),
        ("embedding", f"{described.embed_dim} values"),
        ("least audio", f"{described.min_samples} samples at {found.sample_rate} Hz"),
        ("batches", "yes" if described.takes_batches else "one recording at a time"),
        *((key, described.properties[key]) for key in ("language", "url", "comment") if described.properties.get(key)),
        *(("note", note) for note in found.notes),
    ]
    return [*rows, *_verdict(described.check)] if described.check else rows


def _verdict(check: "FrontEndCheck") -> list[tuple[str, object]]:
    found = check.found
    stands = "stand out" if found.separated else "do not stand out: the front end is probably wrong"
    cosines = f"cosine {found.same:.2f} of one speaker, {found.different:.2f} of two ({found.distance:.1f} deviations)"
    return [
        ("check", f"{check.recordings} recordings of {check.speakers} speakers: pairs of one speaker {stands}"),
        ("  pairs", cosines),
        *(
            ("  better", f"{change} ({other.distance:.1f} deviations): the description may be wrong")
            for change, other in check.better.items()
        ),
    ]


model_app = Commands(help="Describe ONNX speaker models of other toolkits.")
model_app.command("describe")(describe_command)
