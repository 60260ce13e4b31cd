"""Show what a checkpoint holds: layout, head and recipe, calibration, configuration."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.output import percent
from mrlspk.cli.rotate_text import transform_name
from mrlspk.cli.score_range_text import HEADINGS, shown_ranges

if TYPE_CHECKING:
    from mrlspk.evaluation.calibration import Calibration
    from mrlspk.models.checkpoints.model_card import ModelCard
    from mrlspk.workflows.model_recipe import ModelRecipe
    from mrlspk.workflows.pretrained import InspectedModel

MADE_BY = {
    "published": "another program",
    "converted": "mrlspk pretrained convert or add",
    "adapter": "mrlspk pretrained convert --adapter",
    "rotated": "mrlspk rotate",
    "head_run": "mrlspk train, a head on a frozen model",
    "network_run": "mrlspk train, the whole network",
    "unknown": "not known",
}


def inspection_payload(found: "InspectedModel") -> dict[str, Any]:
    """Return the JSON document of a checkpoint."""
    document = dataclasses.asdict(found.model)
    document["transfer"] = document.pop("report")
    file = {"path": str(found.path), "sha256": found.sha256, "bytes": found.bytes}
    known = {"recipe": found.recipe and _recipe_payload(found.recipe), "calibration": _calibration_payload(found)}
    return file | document | known


def _recipe_payload(recipe: "ModelRecipe") -> dict[str, Any]:
    card = recipe.card.model_dump(mode="json") if recipe.card else {}
    return {
        "made_by": recipe.made_by,
        "base": recipe.base,
        "head": recipe.head,
        "reason": recipe.reason,
        "rotation": recipe.rotation and {"method": recipe.rotation[0], "parameter": recipe.rotation[1]},
        "transform": recipe.transform,
        **{key: card.get(key) for key in ("data", "refit", "trials", "epoch", "results")},
        "score_ranges": [each.model_dump() for each in recipe.score_ranges],
    }


def _calibration_payload(found: "InspectedModel") -> dict[str, Any] | None:
    if found.calibration is None:
        problem = found.calibration_problem
        return {"path": None, "problem": problem} if problem else None
    content = found.calibration.content
    return {
        "path": str(found.calibration.path),
        "problem": None,
        "dims": list(content.dims),
        "n_target": content.n_target,
        "n_nontarget": content.n_nontarget,
        "speech": content.speech,
        "score_norm": content.score_norm,
        "scored_with": content.scored_with,
    }


def exported_calibration(content: dict[str, Any] | None) -> str:
    """Return what an exported file says of its calibration."""
    if content is None:
        return "none"
    from mrlspk.evaluation.calibration import Calibration

    return f"included: {_fitted_on(Calibration.model_validate_json(json.dumps(content)))}"


def _calibration_text(found: "InspectedModel") -> str:
    if found.calibration is None:
        return found.calibration_problem or "none"
    return f"{found.calibration.path}: {_fitted_on(found.calibration.content)}"


def _fitted_on(content: "Calibration") -> str:
    widths = ", ".join(map(str, content.dims))
    return f"widths {widths}, fitted on {content.n_target:,} target and {content.n_nontarget:,} non-target trials"


def _recipe_rows(recipe: "ModelRecipe") -> list[tuple[str, object]]:
    """Return how a model was made."""
    rows: list[tuple[str, object]] = [("made by", MADE_BY[recipe.made_by])]
    rows += [("base model", recipe.base)] if recipe.base else []
    rows += [("head", recipe.head), ("kept because", recipe.reason)] if recipe.head else []
    if recipe.rotation:
        method, parameter = recipe.rotation
        rows.append(("rotation", method if parameter is None else f"{method} {parameter:g}"))
    rows += [("transform", transform_name(recipe.transform))] if recipe.transform else []
    return rows + (_card_rows(recipe.card) if recipe.card else [])


def _card_rows(card: "ModelCard") -> list[tuple[str, object]]:
    data = card.data
    kind = "vectors" if data.vectors else "utterances"
    synthetic = " (the demo's synthetic voices)" if data.synthetic else ""
    rows: list[tuple[str, object]] = [
        ("trained on", f"{data.folder}{synthetic}: {data.utterances:,} {kind} of {data.speakers:,} speakers"),
        ("held-out trials", f"{card.trials.description}, epoch {card.epoch}"),
    ]
    if card.debug_batches:
        rows.append(("debug run", f"{card.debug_batches} batches an epoch: its figures mean nothing"))
    if card.refit:
        what = f"on all {card.refit.speakers:,} speakers; the figures are of {card.refit.held_out_model}, without them"
        rows.append(("refit", what))
    return rows


def _held_out(recipe: "ModelRecipe | None") -> list[RenderableType]:
    """Return the metrics on held-out speakers by width, with the ranges of scores as far as they are known."""
    if recipe is None or not (recipe.score_ranges or (recipe.card and recipe.card.results)):
        return []
    results = {each.dim: each for each in recipe.card.results} if recipe.card else {}
    ranges = {each.dim: each for each in recipe.score_ranges}
    rows = [
        (
            dim,
            percent(results[dim].eer) if dim in results else "",
            *shown_ranges(ranges.get(dim)),
        )
        for dim in sorted({*results, *ranges})
    ]
    title = "on held-out speakers (cosines of 90 % of the pairs):"
    return ["", title, output.table(None, ("width", "EER %", *HEADINGS), rows)]


def inspection_text(found: "InspectedModel") -> list[RenderableType]:
    """Return the file, what it holds and how it was made, what does not load, and its configuration."""
    model, report = found.model, found.model.report
    rows: list[tuple[str, object]] = [
        ("file", found.path),
        ("sha256", found.sha256),
        ("bytes", f"{found.bytes:,}"),
        ("layout", model.family),
        ("parameters", f"{model.parameters:,}"),
        ("embedding", f"{model.embed_dim} values"),
        ("widths", ", ".join(map(str, model.dims))),
        ("loads", f"{report.loaded} entries, {report.coverage:.2%} of the values"),
        *(_recipe_rows(found.recipe) if found.recipe else []),
        ("calibration", _calibration_text(found)),
    ]
    settings = [f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in model.config.items()]
    return [
        output.facts(rows),
        *_held_out(found.recipe),
        *_not_loaded(found),
        "",
        "configuration in the file:",
        *settings,
    ]


def _not_loaded(found: "InspectedModel") -> list[str]:
    """Return a line for each entry that is not loaded."""
    from mrlspk.models.checkpoints.state_dict_report import shown_name

    report = found.model.report
    lists = {
        "missing": report.missing,
        "of another kind or shape": report.mismatched,
        "unexpected": report.unexpected,
        "not needed for embeddings": report.left_out,
        "neither configuration nor weights": found.model.other_entries,
    }
    lines: list[str] = []
    for title, names in lists.items():
        if names:
            lines += ["", f"{title}:", *(f"  {shown_name(name)}" for name in names)]
    return lines
