"""Write the study's document: insert its tables into a template."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.files import whole_file
from study.material import LANGUAGES
from study.metrics import mean_ratio, ratio, signs_by_speaker
from study.recipes import DEFAULT, DIMS, OWN

SVD = "rotation svd"
BEST_SHOWN = 6
SHOWN = 16, 64, 192  # widths of the held-out table
AVERAGED = "crosslingual", "short"
TARGETS = {16: 1.27, 32: 1.05, 64: 1.05, 128: 1.00, 192: 0.98}  # of the default, mean ratio on the averaged lists
PARTS = {
    "English list": ("english", None),
    "cross-lingual list (Arabic)": ("crosslingual", None),
    "short, English": ("short", "English"),
    "short, Arabic": ("short", "Arabic"),
}

type Results = dict[str, dict[str, list[dict[str, Any]]]]


def write_document(results: dict[str, Results], template: Path, path: Path) -> None:
    """Write the document of both backbones."""
    parts = {}
    for number, (name, found) in enumerate(results.items(), start=1):
        parts |= {
            f"own_{number}": own_rates(found),
            f"mean_{number}": mean_table(found),
            f"parts_{number}": "\n\n".join(f"{part}:\n\n{part_table(found, *which)}" for part, which in PARTS.items()),
            f"held_out_{number}": held_out_table(found),
            f"speakers_{number}": speaker_table(found),
            f"name_{number}": name,
        }
    parts["choice"] = choice_table(list(results.values()))
    parts["cost"] = cost_table(next(iter(results.values())))
    parts["targets"] = target_table(next(iter(results.values())))
    text = template.read_text(encoding="utf-8")
    for key, value in parts.items():
        text = text.replace("{{" + key + "}}", value)
    with whole_file(path, force=True) as partial:
        partial.write_text(text, encoding="utf-8")


def missed_targets(found: Results) -> list[str]:
    """Return a line for every width at which the default misses its target."""
    own, lines = found[OWN]["lists"][0], []
    for dim, target in TARGETS.items():
        reached, rotation, cut = (_mean(found[name], own, dim) for name in (DEFAULT, SVD, OWN))
        if reached > target:
            lines.append(f"width {dim}: {reached:.3f}, target {target}")
        if reached > rotation or reached >= cut > 1:
            lines.append(f"width {dim}: {reached:.3f}, the rotation {rotation:.3f}, truncation {cut:.3f}")
    return lines


def own_rates(found: Results) -> str:
    """Return the own embedding's EERs at full width, as part of a sentence."""
    lists = found[OWN]["lists"][0]["lists"]
    return ", ".join(f"{name} {100 * rates['192']['eer']:.2f} %" for name, rates in lists.items())


def mean_table(found: Results) -> str:
    """Return a table of mean ratios over cross-lingual and short, with deviation over seeds, by recipe and width."""
    own = found[OWN]["lists"][0]
    return _table(
        "recipe", DIMS, ((name, [_mean_cell(each["lists"], own, dim) for dim in DIMS]) for name, each in found.items())
    )


def part_table(found: Results, name: str, language: str | None) -> str:
    """Return a table of the ratio on one list, or one language of it, mean over seeds, by recipe and width."""
    own = found[OWN]["lists"][0]

    def cell(results: Sequence[dict[str, Any]], dim: int) -> str:
        ratios = [ratio(each, own, name, dim, language) for each in results]
        known = [each for each in ratios if each is not None]
        return f"{np.mean(known):.2f}" if known else "–"

    return _table("recipe", DIMS, ((row, [cell(each["lists"], dim) for dim in DIMS]) for row, each in found.items()))


def held_out_table(found: Results) -> str:
    """Return a table of the selection metric (mean log EER on held-out speakers minus the rotation's) and EERs."""
    rows = []
    for name, each in found.items():
        rates = [_held_out_rate(each["held_out"], dim, language) for language in LANGUAGES.values() for dim in SHOWN]
        rows.append((name, [f"{_held_out_gain(found, name):+.3f}", *rates]))
    columns = (f"{language} {dim}" for language in LANGUAGES.values() for dim in SHOWN)
    return _table("recipe", ("mean log EER − svd's", *columns), rows)


def choice_table(backbones: Sequence[Results]) -> str:
    """Return a table of the recipes with the lowest mean log EER over the held-out speakers of all backbones."""
    gains = {name: [_held_out_gain(found, name) for found in backbones] for name in backbones[0]}
    best = sorted(gains, key=lambda name: float(np.mean(gains[name])))[:BEST_SHOWN]
    rows = ((name, [f"{np.mean(gains[name]):+.3f}", *(f"{gain:+.3f}" for gain in gains[name])]) for name in best)
    return _table("recipe", ("mean log EER − svd's", "shared", "trained here"), rows)


def _held_out_gain(found: Results, name: str) -> float:
    own, svd = ([each["mean_log_eer"] for each in found[recipe]["held_out"]] for recipe in (name, SVD))
    return float(np.mean(own) - np.mean(svd))


def speaker_table(found: Results) -> str:
    """Return a table of speakers of the short list with fewer, more and as many errors as the rotation."""
    svd = found[SVD]["lists"]
    rows = []
    for name, each in found.items():
        signs = [signs_by_speaker(each["lists"], svd, "short", dim) for dim in DIMS[:-1]]
        rows.append((name, ["–" if sign is None else " ".join(map(str, sign)) for sign in signs]))
    return _table("recipe", DIMS[:-1], rows)


def cost_table(found: Results) -> str:
    """Return a table of trained values, seconds, and first and last loss by recipe."""
    rows = []
    for name, each in found.items():
        results = each["lists"]
        losses = results[0]["losses"]
        seconds = float(np.median([result["seconds"] for result in results]))
        told = f"{losses[0]:.2f} → {losses[1]:.2f}" if losses else "–"
        rows.append((name, [f"{results[0]['n_trained']:,}", f"{seconds:.1f}", told]))
    return _table("recipe", ("values trained", "seconds", "loss"), rows)


def target_table(found: Results) -> str:
    """Return a table of the default against its targets."""
    own = found[OWN]["lists"][0]
    rows = [
        (label, [f"{_mean(found[name], own, dim):.3f}" for dim in TARGETS])
        for label, name in (("default", DEFAULT), ("rotation svd", SVD), ("truncation", OWN))
    ]
    return _table("", tuple(TARGETS), [("target", [f"{target:.2f}" for target in TARGETS.values()]), *rows])


def _mean(recipe: dict[str, list[dict[str, Any]]], own: dict[str, Any], dim: int) -> float:
    found = mean_ratio(recipe["lists"], own, AVERAGED, dim)
    assert found is not None
    return found


def _mean_cell(results: Sequence[dict[str, Any]], own: dict[str, Any], dim: int) -> str:
    by_seed = [mean_ratio([result], own, AVERAGED, dim) for result in results]
    known = [each for each in by_seed if each is not None]
    if not known:
        return "–"
    return f"{np.mean(known):.3f}" + (f" ± {np.std(known, ddof=1):.3f}" if len(known) > 1 else "")


def _held_out_rate(results: Sequence[dict[str, Any]], dim: int, language: str) -> str:
    rates = [one["eer"].get(str(dim)) for each in results for one in each["sets"] if one["language"] == language]
    known = [rate for rate in rates if rate is not None]
    return f"{100 * np.mean(known):.2f}" if known else "–"


def _table(first: str, columns: Sequence[object], rows: Iterable[tuple[str, Sequence[object]]]) -> str:
    lines = [f"| {first} | " + " | ".join(map(str, columns)) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(map(str, cells)) + " |" for name, cells in rows]
    return "\n".join(lines)
