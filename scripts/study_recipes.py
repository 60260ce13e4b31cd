"""Compare recipes for heads on two frozen backbones on real speech; write docs/studies/matryoshka-recipes.md.

    .venv/bin/python scripts/study_recipes.py --shared ../shared --work checkpoints/study

Trains one backbone with `mrlspk train`, takes the shared one as it is, stores the pooled vectors of both, fits every
recipe on training speakers (three seeds where a seed matters), holds training speakers out to choose one, and scores
the three lists at every width. Every stage is cached under the fingerprint of its inputs, so a stopped study resumes.
Exits with 1 if the default recipe misses a target.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from mrlspk.config.data import DataConfig
from mrlspk.data.trials import read_trials
from study.document import missed_targets, write_document
from study.material import Material, gather
from study.metrics import hold_out_recipe, test_recipe
from study.recipes import Recipe, all_recipes
from study.stages import Stages

VERSION = 2  # of the recipes; raise it when their behaviour changes, to invalidate cached stages
PASSES = 4  # stored crops of every utterance
TEMPLATE = Path(__file__).parent / "study" / "matryoshka-recipes.md.in"

type Results = dict[str, dict[str, list[dict[str, Any]]]]


def train_backbone(speech: Path, work: Path) -> Path:
    """Return a checkpoint of a backbone trained from scratch, with one width, 40 speakers held out."""
    run = work / "backbone"
    settings = {
        "data.train_dataset": speech / "train",
        "data.musan_dataset": speech / "musan",
        "data.rir_dataset": speech / "rirs",
        "data.n_validation_speakers": 40,
        "data.n_validation_trials": 4000,
        "model.matryoshka_dims": "[192]",
        "model.trained_dims": "[192]",
        "training.num_epochs": 12,
        "logging.save_dir": work,
        "logging.run_name": run.name,
        "logging.tensorboard": "false",
    }
    if not _is_done(run):
        flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "mrlspk", "train", "--config", "configs/scratch-small.yaml", *flags]
        subprocess.run([*command, "--resume", "auto"], check=True)
        (run / "done").touch()
    return run / "best.pt"


def _is_done(run: Path) -> bool:
    return (run / "done").is_file()


def study(material: Material, stages: Stages) -> Results:
    """Return for each recipe the metrics of every seed on the lists and on held-out speakers."""
    found: Results = {}
    for recipe in all_recipes():
        print(f"{material.name}: {recipe.name}", file=sys.stderr)
        found[recipe.name] = {
            "lists": [_on_lists(stages, material, recipe, seed) for seed in recipe.seeds],
            "held_out": [_held_out(stages, material, recipe, seed) for seed in recipe.seeds],
        }
    return found


def _on_lists(stages: Stages, material: Material, recipe: Recipe, seed: int) -> dict[str, Any]:
    return stages.result("lists", _inputs(material, recipe, seed), lambda: test_recipe(material, recipe, seed))


def _held_out(stages: Stages, material: Material, recipe: Recipe, seed: int) -> dict[str, Any]:
    inputs = _inputs(material, recipe, seed) | {"folds": material.fold_fingerprint}
    return stages.result("held-out", inputs, lambda: hold_out_recipe(material, recipe, seed))


def _inputs(material: Material, recipe: Recipe, seed: int) -> dict[str, Any]:
    how = {"recipe": recipe.name, "options": recipe.options, "seed": seed, "version": VERSION}
    return {"material": material.fingerprint} | how


def main() -> int:
    """Run the stages that are not cached, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with speech/ and pretrained/")
    parser.add_argument("--work", type=Path, default=Path("checkpoints/study"), help="folder of runs and cached stages")
    parser.add_argument("--document", type=Path, default=Path("docs/studies/matryoshka-recipes.md"))
    parser.add_argument("--only-shared", action="store_true", help="skip the trained backbone and the document")
    arguments = parser.parse_args()
    speech, stages = arguments.shared / "speech", Stages(arguments.work / "stages")
    data = DataConfig(
        train_dataset=speech / "train", chunk_duration=2.0, musan_dataset=speech / "musan", rir_dataset=speech / "rirs"
    )
    shared = arguments.shared / "pretrained" / "redimnet-small-speech.pt"
    models = {"shared": (shared, ())}
    if not arguments.only_shared:
        trained = train_backbone(speech, arguments.work)
        unseen = read_trials(trained.parent / "validation-trials.txt").speakers
        models["trained here"] = (trained, tuple(sorted(unseen)))
    results = {}
    for name, (model, unseen_by) in models.items():
        material = gather(name, model, speech, arguments.work, data=data, passes=PASSES, unseen=unseen_by)
        results[name] = study(material, stages)
    print(f"{stages.n_made} stages computed, {stages.n_reused} from the cache", file=sys.stderr)
    missed = missed_targets(results["shared"])
    if not arguments.only_shared:
        write_document(results, TEMPLATE, arguments.document)
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
