"""Build the document of a training run's report from the record of the run."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mrlspk.evaluation.scored_trials import MIN_SPEAKERS
from mrlspk.workflows.run_record import Entry, RunRecord

MOST_STEPS = 2000  # of a log; the page and its JSON hold evenly spaced ones of a longer log
NAMES = {"rotation": "rotation", "start": "start", "trained": "trained head"}
NEXT = (  # commands after a run on audio, on one file of vectors, and on several, of which one is scored at a time
    ("mrlspk eval {path}", "mrlspk compare {path}"),
    ("mrlspk eval {path} --vectors {file}", "mrlspk compare {path} --vectors {file}"),
    ("mrlspk eval {path} --vectors FILE --trials FILE", "mrlspk compare {path} --vectors FILE --trials FILE"),
)
FACTS = {
    "n_classes": "classes of the loss",
    "n_stored": "stored vectors of an epoch",
    "trained_parameters": "trained parameters",
    "frozen_parameters": "frozen parameters",
    "steps_per_epoch": "steps an epoch",
    "effective_batch": "effective batch",
    "n_processes": "processes",
}


def run_values(record: RunRecord, *, warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document of a run; ``warnings`` are those of the run itself, beside those that its files show."""
    facts = dict(record.starts[-1]) if record.starts else {}
    checkpoint, card = next(iter(record.cards.items()), (None, None))
    best_epoch = next((each["epoch"] for each in reversed(record.epochs) if each.get("is_best")), None)
    verdict, of_run = record.verdict, list(dict.fromkeys([*record.warnings, *warnings]))
    return {
        "warnings": list(dict.fromkeys([*of_run, *_warnings(record, card, facts)])),
        "run_warnings": of_run,
        "run": _run(record, facts),
        "base": ((card or {}).get("base") or {}).get("model"),
        "held_out": _held_out(record, card, facts),
        "sentences": list(_sentences(record, card, best_epoch)),
        "next": list(_next_commands(record, facts)),
        "checkpoint": checkpoint or (best_epoch and f"epoch {best_epoch}"),
        "best": _best(record, card, best_epoch),
        "best_epoch": best_epoch,
        "verdict": verdict,
        "verdict_rows": list(_verdict_rows(verdict)) if verdict else [],
        "rates": _rates(record, facts, best_epoch),
        "baselines": facts.get("baselines"),
        "facts": {key: value for key, value in facts.items() if key != "config"},
        "card": card,
        "data": list(_data_rows(card, facts)),
        "card_rows": list(_card_rows(card)) if card else [],
        "dims": sorted({int(dim) for each in record.epochs for dim in each["validation"]["eer"]}),
        "epochs": list(record.epochs),
        "steps": _spaced(record.steps),
        "config_text": record.config_text,
    }


def _run(record: RunRecord, facts: Mapping[str, Any]) -> Entry:
    is_head = bool(facts.get("baselines")) or "rotation.pt" in record.cards
    return {
        "path": str(record.folder),
        "name": record.folder.resolve().name,
        "kind": "head" if is_head else "network",
        "trains": "a head on the frozen network" if is_head else "the whole network",
        "state": _state(record, facts, is_head=is_head),
        "resumed": max(0, len(record.starts) - 1),
    }


def _state(record: RunRecord, facts: Mapping[str, Any], *, is_head: bool) -> str:
    """Return how far the run is, in words."""
    done, planned = len(record.epochs), facts.get("num_epochs")
    resumed = len(record.starts) - 1
    again = f", resumed {'once' if resumed == 1 else f'{resumed} times'}" if resumed > 0 else ""
    if not record.starts:
        return "stopped before its first step"
    if done == planned or (is_head and "best.pt" in record.cards):
        return f"ended after {_count(done, 'epoch')}{again}"
    return f"{done} of {_count(planned or done, 'epoch')} done: still training, stopped, or ended early{again}"


def _held_out(record: RunRecord, card: Entry | None, facts: Mapping[str, Any]) -> str | None:
    n_speakers = _n_held_out(record, facts)
    folder = ((card or {}).get("data") or {}).get("folder")
    return f"{n_speakers} held-out speakers{f' of {folder}' if folder else ''}" if n_speakers else None


def _n_held_out(record: RunRecord, facts: Mapping[str, Any]) -> int | None:
    judged = (record.verdict or {}).get("n_speakers")
    return judged or facts.get("n_validation_speakers")


def _sentences(record: RunRecord, card: Entry | None, best_epoch: int | None) -> Iterator[str]:
    """Yield how the run ended, in plain words."""
    if record.summary:
        yield from record.summary
    elif best_epoch is not None:
        yield f"The best epoch is {best_epoch} of {_count(len(record.epochs), 'validated epoch')}."
    elif "best.pt" in record.cards:
        yield "Nothing was trained: best.pt is the rotation."
    elif record.cards:
        yield "No epoch has ended yet: these are figures before training."
    else:
        yield "There are no figures yet: no epoch has ended."
    if refit := (card or {}).get("refit"):
        yield (
            f"best.pt is this recipe fitted again on all {refit['speakers']} speakers; the figures are of "
            f"{refit['held_out_model']}, which has not seen the held-out speakers."
        )


def _next_commands(record: RunRecord, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the commands that go on from a run, as whole lines."""
    folder, best = (shlex.quote(str(path)) for path in (record.folder, record.folder / "best.pt"))
    data = (facts.get("config") or {}).get("data") or {}
    vectors: Sequence[str] = data.get("val_vectors") or data.get("vectors") or ()
    file = shlex.quote(vectors[0]) if vectors else ""
    evaluate, compare = NEXT[min(len(vectors), 2)]
    if "best.pt" in record.cards:
        yield evaluate.format(path=best, file=file)
    if record.verdict:
        yield compare.format(path=folder, file=file)


def _best(record: RunRecord, card: Entry | None, best_epoch: int | None) -> list[Entry]:
    """Return the metrics by width of the best checkpoint so far, rising."""
    if card and card.get("results"):
        return list(card["results"])
    found = next((each["validation"] for each in record.epochs if each["epoch"] == best_epoch), None)
    if found is None:
        return []
    return [
        {"dim": int(dim), "eer": eer, "min_dcf": found.get("min_dcf", {}).get(dim)}
        for dim, eer in sorted(found["eer"].items(), key=lambda each: int(each[0]))
    ]


def _rates(record: RunRecord, facts: Mapping[str, Any], best_epoch: int | None) -> dict[str, dict[str, float]]:
    """Return EERs by width for each head that was measured on the same trials."""
    if verdict := record.verdict:
        return {
            name: {str(row["dim"]): row[key] for row in verdict["widths"] if row.get(key) is not None}
            for key, name in NAMES.items()
        }
    baselines = facts.get("baselines") or {}
    rates = {"own embedding, truncated": baselines.get("truncation"), "rotation": baselines.get("rotation")}
    for each in record.epochs:
        if each["epoch"] == best_epoch:
            rates[f"epoch {best_epoch}"] = each["validation"]["eer"]
    return {name: found for name, found in rates.items() if found}


def _verdict_rows(verdict: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield a row for each width of each domain: EERs, and the trained head against what it has to beat."""
    against = verdict.get("against", "rotation")
    for domain in verdict.get("domains") or ():
        for width in domain["widths"]:
            (pair,) = (
                each for each in width["comparisons"] if (each["candidate"], each["against"]) == ("trained", against)
            )
            row = {"domain": domain["domain"], "decides": domain.get("decides", True), "dim": width["dim"]}
            yield (
                row
                | {"published": width["published"], "eer": width["eer"], "against": against}
                | {key: pair[key] for key in ("delta_eer", "delta_ci", "p_value", "outcome")}
            )
    if not verdict.get("domains"):  # of an earlier version
        for width in verdict["widths"]:
            eer = {name: width[name] for name in NAMES if width.get(name) is not None}
            row = {"domain": "", "decides": True, "dim": width["dim"], "published": width.get("published", True)}
            row |= {"eer": eer, "against": "rotation", "delta_eer": eer["trained"] - eer["rotation"]}
            yield row | {key: width.get(key) for key in ("delta_ci", "p_value", "outcome")}


def _warnings(record: RunRecord, card: Entry | None, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what makes the figures say less than they seem to."""
    card = card or {}
    if (card.get("data") or {}).get("synthetic"):
        yield "trained on the demo corpus of synthetic voices: the figures say nothing about real voices"
    if batches := card.get("debug_batches"):
        yield f"a debug run: each epoch ended after {_count(batches, 'batch', 'batches')}"
    n_speakers = _n_held_out(record, facts)
    if n_speakers and n_speakers < MIN_SPEAKERS:
        yield f"{n_speakers} held-out speakers are few: the figures may be far off for other speakers"
    if record.epochs and (record.verdict or {}).get("judges_chose_epoch", True):
        yield "the held-out speakers chose the epoch, so the figures may be worse on others"
    skipped = max((step.get("n_skipped") or 0 for step in record.steps), default=0)
    if skipped:
        yield f"{_count(skipped, 'step')} skipped because of a loss or gradient that was not finite"
    unreadable = max((each.get("n_unreadable") or 0 for each in record.epochs), default=0)
    if unreadable:
        yield f"{_count(unreadable, 'training file')} could not be read: crops of other files replaced theirs"


def _data_rows(card: Entry | None, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if data := (card or {}).get("data"):
        kind = "vectors" if data.get("vectors") else "speech"
        yield f"training {kind}", data["folder"]
        yield "speakers", f"{data['speakers']:,}"
        yield "utterances", f"{data['utterances']:,}"
    elif facts:
        yield "speakers", f"{facts['n_speakers']:,}"
        yield "utterances", f"{facts['n_utterances']:,}"
    if facts:
        yield "held-out speakers", f"{facts['n_validation_speakers']:,}"
        yield "held-out trials", f"{facts['n_validation_trials']:,}"
    if trials := (card or {}).get("trials"):
        yield "trials of the figures", trials["description"]
    for name, shown in FACTS.items():
        if facts.get(name):
            yield shown, f"{facts[name]:,}"
    for each in facts.get("left_out") or ():
        yield "left out", ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in each.items())


def _card_rows(card: Entry) -> Iterator[tuple[str, str]]:
    yield "title", card["title"]
    yield "file", card.get("checkpoint") or "unknown"
    yield "SHA-256", card.get("sha256") or "unknown"
    yield "family", card["family"]
    yield "parameters", f"{card['parameters']:,}"
    yield "widths", ", ".join(map(str, card["dims"]))
    base = card.get("base")
    while base:
        yield "base model", base["model"]
        yield "its licence", base.get("licence") or "unknown"
        if base.get("non_commercial"):
            yield "its use", "non-commercial only"
        base = base.get("base")
    if transform := card.get("transform"):
        parts = ["centred"] if transform["centred"] else []
        parts += [f"flattened {transform['flatten']:g}"] if transform["flatten"] else []
        parts += [f"ordered by {transform['order']}"] if transform.get("order") else []
        yield "start of its head", ", ".join(parts) or "a rotation"
    yield "mrlspk", card["mrlspk_version"]


def _spaced(steps: Sequence[Entry]) -> list[Entry]:
    """Return at most `MOST_STEPS` evenly spaced steps."""
    every = -(-len(steps) // MOST_STEPS) or 1
    return list(steps[::every])


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
