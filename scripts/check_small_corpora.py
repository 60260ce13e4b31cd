"""Train with default settings on corpora of 12 to 268 real speakers, and compare with `rotate` on the same speech.

    .venv/bin/python scripts/check_small_corpora.py --shared ../shared --work checkpoints/small-corpora

The corpora are nested, drawn by a seed from the training speech. What is done is kept: run it again to go on, and to
print the table. Exits with 1 if a corpus of 43 speakers or more does not train by default, or is worse than the
rotation at full width by more than chance, or if a smaller one is refused without naming `rotate`.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZES = 12, 24, 43, 79, 140, 268
TRAINED_FROM = 43  # speakers
LISTS = {"short": "test-short", "crosslingual": "test"}
MODEL = "redimnet-small-speech.pt"


def mrlspk(work: Path, name: str, *arguments: object) -> dict[str, Any]:
    """Run a command with ``--json`` in ``work`` and return its document and exit code; a kept one is read."""
    kept = work / f"{name}.json"
    if not kept.exists():
        command = [sys.executable, "-m", "mrlspk", *map(str, arguments), "--json"]
        print("$ mrlspk", *map(str, arguments), file=sys.stderr, flush=True)
        environment = os.environ | {"MRLSPK_CACHE_DIR": str(work / "cache")}
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        document = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr}
        kept.write_text(json.dumps(document | {"exit_code": done.returncode}, indent=1))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def write_corpora(speech: Path, work: Path, *, seed: int) -> None:
    """Copy the first speakers of one order of all of them, for each size."""
    speakers = sorted(folder.name for folder in speech.iterdir())
    random.Random(seed).shuffle(speakers)
    for size in SIZES:
        for speaker in speakers[:size]:
            target = work / "corpora" / str(size) / speaker
            if not target.exists():
                shutil.copytree(speech / speaker, target.with_suffix(".partial"))
                target.with_suffix(".partial").rename(target)


def measure(shared: Path, work: Path, size: int) -> dict[str, Any]:
    """Return what training, rotation and their comparison reported for one corpus."""
    model, corpus, run = shared / "pretrained" / MODEL, f"corpora/{size}", f"of-{size}"
    trained = mrlspk(
        work, f"train-{size}", "train", "--set", f"data.train_dataset={corpus}", "--init-from", model,
        "--set", f"logging.run_name={run}", "--resume", "auto",
    )  # fmt: skip
    mrlspk(work, f"rotate-{size}", "rotate", model, "--speech", corpus, "-o", f"rotated-{size}.pt", "--force")
    if trained["exit_code"]:
        return {"trained": trained}
    lists = [part for name in LISTS for part in ("--trials", shared / "speech" / f"trials-{name}.txt")]
    roots = [part for root in LISTS.values() for part in ("--audio-root", shared / "speech" / root)]
    models = f"rotated-{size}.pt", f"checkpoints/{run}/best.pt"
    compared = mrlspk(work, f"compare-{size}", "compare", *models, *lists, *roots)
    return {"trained": trained, "compared": compared}


def percent(rate: float) -> str:
    """Return a rate as it stands in a table."""
    return f"{100 * rate:.2f}"


def count_files(work: Path, size: int) -> int:
    """Return the utterances of a corpus."""
    return sum(path.is_file() for path in (work / "corpora" / str(size)).rglob("*"))


def cells(entry: dict[str, Any], *, at: int) -> str:
    """Return EERs of rotation and run at one of the widths of a list, and how sure the difference is."""
    width = entry["results"][at]
    rotated, best = (each["eer"] for each in width["models"])
    (pair,) = width["pairs"]
    return f"{percent(rotated)} → {percent(best)} ({evidence(pair)})"


def evidence(pair: dict[str, Any]) -> str:
    """Return the interval of a difference over speakers, or with too few of them the p-value of McNemar's test."""
    if pair["delta_ci"] is None:
        return f"p {pair['mcnemar']['p_value']:.2g}"
    return " … ".join(f"{100 * end:+.2f}" for end in pair["delta_ci"])


def is_worse(pair: dict[str, Any]) -> bool:
    """Return whether the second model is worse than the first by more than chance."""
    if pair["delta_ci"] is None:
        return bool(pair["delta_eer"] > 0 and pair["mcnemar"]["p_value"] < 0.05)
    return bool(pair["delta_ci"][0] > 0)


def rows(work: Path, found: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield (
        "| speakers | utterances | held out | steps | kept | "
        + " | ".join(f"{name}, {width}" for name in LISTS for width in ("64", "full"))
        + " |"
    )
    yield "|---|---|---|---|---|" + "---|" * (2 * len(LISTS))
    for size, results in found.items():
        told, trained = f"| {size} | {count_files(work, size)} |", results["trained"]
        if trained["exit_code"]:
            yield f"{told} – | – | refused: `mrlspk rotate` |" + " – |" * (2 * len(LISTS))
            continue
        steps, held_out = (read_run(work, size)[key] for key in ("steps_per_epoch", "n_validation_speakers"))
        figures = [cells(each, at=at) for each in results["compared"]["trials"] for at in (0, -1)]
        told += f" {held_out} | {trained['epochs']} × {steps} | {trained['verdict']['kept']} |"
        yield f"{told} {' | '.join(figures)} |"


def read_run(work: Path, size: int) -> dict[str, Any]:
    """Return what the log says of a run at its start."""
    first = (work / "checkpoints" / f"of-{size}" / "metrics.jsonl").read_text().splitlines()[0]
    facts: dict[str, Any] = json.loads(first)
    return facts


def faults(found: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Yield what is not as promised."""
    for size, results in found.items():
        trained = results["trained"]
        if trained["exit_code"] and (size >= TRAINED_FROM or "mrlspk rotate" not in trained["error"]):
            yield f"{size} speakers: {trained['error']}"
        for entry in results.get("compared", {}).get("trials", ()):
            (pair,) = entry["results"][-1]["pairs"]
            if is_worse(pair):
                yield f"{size} speakers: worse than the rotation at full width on {entry['path']}"


def main() -> None:
    """Run what is not there yet, print the table, and exit with 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="Folder of speech and pretrained models.")
    parser.add_argument("--work", type=Path, required=True, help="Folder to work in.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the corpora.")
    given = parser.parse_args()
    shared, work = given.shared.resolve(), given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    write_corpora(shared / "speech" / "train", work, seed=given.seed)
    found = {size: measure(shared, work, size) for size in SIZES}
    print("\n".join(rows(work, found)))
    if wrong := list(faults(found)):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
