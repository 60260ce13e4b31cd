"""Show a rotated model: JSON document, tables and the next command."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.options import model_entry
from mrlspk.cli.output import percent

if TYPE_CHECKING:
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.rotation.held_out_scores import HeldOutScores
    from mrlspk.rotation.selection import CandidateResult
    from mrlspk.rotation.transform import Transform
    from mrlspk.workflows.rotate import RotatedModel


def transform_name(summary: dict[str, Any]) -> str:
    """Return a transform in words."""
    parts = ["centred"] if summary["centred"] else []
    parts += [f"flattened {summary['flatten']:g}"] if summary["flatten"] else []
    return ", ".join([*(parts or ["rotation"]), f"order {summary['order']}"])


def fitted_speech(transform: "Transform") -> str:
    """Return the part of the recordings that a transform was fitted to, in words."""
    return transform.speech_detector or ("whole recordings" if transform.speech else "unknown")


def rotated_payload(rotated: "RotatedModel", model: "ModelFile") -> dict[str, Any]:
    """Return the JSON document of a rotated model; its path is null if it could not be written."""
    entry = rotated.choice.entry() if rotated.choice else {}
    rotation = {key: entry[key] for key in ("method", "parameter", "spectrum", "choice") if key in entry}
    return {
        "path": str(rotated.path) if rotated.sha256 else None,
        "model": model_entry(model),
        "rotation": rotation or None,
        "transform": rotated.transform,
        "speech": rotated.speech,
        "speech_detector": rotated.speech_detector,
        "dims": list(rotated.dims),
        "held_out": rotated.held_out and _held_out_payload(rotated.held_out),
        "speakers": rotated.n_speakers,
        "utterances": rotated.n_utterances,
        "sha256": rotated.sha256,
        "bytes": rotated.bytes,
    }


def _held_out_payload(held_out: "HeldOutScores") -> dict[str, Any]:
    trials = held_out.trials
    return {
        "speakers": len(trials.speakers),
        "n_target": trials.n_target,
        "n_nontarget": trials.n_nontarget,
        "sha256": trials.sha256,
        "results": [{"dim": dim, "eer": eer} for dim, eer in held_out.eer.items()],
    }


def rotated_text(rotated: "RotatedModel") -> Iterator[RenderableType]:
    """Return the candidates, the widths of the model, its file, and the command that evaluates it."""
    choice = rotated.choice
    if choice and (results := choice.results):
        header = ("rotation", *(f"EER % at {width}" for width in results[0].eer), "mean log EER")
        yield output.table(None, header, (_row(result) for result in results))
        counts = f"{choice.n_target} target and {choice.n_nontarget} non-target trials"
        yield f"on {counts} between short crops of held-out speakers"
        yield ""
    yield from _widths(rotated)
    facts: list[tuple[str, object]] = [
        *_fitted(rotated),
        ("fitted to", f"{rotated.n_utterances} utterances of {rotated.n_speakers} speakers"),
        *([("speech", rotated.speech_detector)] if rotated.speech_detector else []),
    ]
    if rotated.bytes is None:
        yield output.facts(facts)
        return
    file = [("path", rotated.path), *facts, ("sha256", rotated.sha256), ("bytes", f"{rotated.bytes:,}")]
    yield output.facts(file)
    yield f"\n{next_command(rotated.path, has_trials=rotated.held_out is not None)}"
    if rotated.held_out is not None:
        yield "It scores trials among the speakers above: narrow widths look somewhat too good there."


def next_command(path: Path, *, has_trials: bool = False, vectors: Path | None = None) -> str:
    """Return the line that says how to evaluate a file: a command to copy."""
    lists = "" if has_trials else " --trials FILE" if vectors else " --trials FILE --audio-root DIR"
    source = f" --vectors {shlex.quote(str(vectors))}" if vectors else ""
    return f"To evaluate: mrlspk eval {shlex.quote(str(path))}{source}{lists}"


def _widths(rotated: "RotatedModel") -> Iterator[RenderableType]:
    """Return the widths of the model with energy and cross-validated EER, if there was a selection."""
    if rotated.choice is None or rotated.held_out is None:
        return
    spectrum, trials = rotated.choice.rotation.spectrum, rotated.held_out.trials
    rows = [(dim, f"{100 * spectrum[:dim].sum():.1f}", percent(rate)) for dim, rate in rotated.held_out.eer.items()]
    yield output.table(None, ("width", "energy %", "EER %"), rows)
    yield f"on {trials.n_target} target and {trials.n_nontarget} non-target trials between whole recordings,"
    yield f"each scored by the same rotation fitted without its speakers ({len(trials.speakers)} in all)"
    yield ""


def _fitted(rotated: "RotatedModel") -> list[tuple[str, str]]:
    """Return the rotation with its energy by width, or the transform."""
    if rotated.choice is None:
        return [("transform", transform_name(rotated.transform))]
    rotation = rotated.choice.rotation
    name = [("rotation", _name(rotation.method, rotation.parameter))]
    if rotated.held_out is not None:
        return name
    shares = (f"{dim}: {100 * rotation.spectrum[:dim].sum():.1f} %" for dim in rotated.dims)
    return [*name, ("energy by width", ", ".join(shares))]


def _row(result: "CandidateResult") -> tuple[str, ...]:
    rates = map(percent, result.eer.values())
    return _name(result.method, result.parameter), *rates, f"{result.mean_log_eer:.3f}"


def _name(method: str, parameter: float | None) -> str:
    return method if parameter is None else f"{method} {parameter:g}"
