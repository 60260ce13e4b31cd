"""The terminal of the first hour: the end of a run, tables with long names, a terminal of 80 columns."""

import shutil
from pathlib import Path

import pytest
import yaml

from factories import tiny_run, write_tiny_model, write_voices
from first_hour import Situation

LONG = "recordings of a customer/in-a-large-company-with-a-long-name/two-thousand-and-twenty-six"


def one_epoch(**sections):
    config = tiny_run(write_voices(Path("voices")), **sections)
    config["training"]["num_epochs"] = 1
    Path("tiny.yaml").write_text(yaml.safe_dump(config))


def write_page():
    one_epoch(logging={"report": True, "run_name": "one"})


def cannot_write_page():
    write_page()
    Path("checkpoints/one").mkdir(parents=True)
    Path("checkpoints/one/report").write_text("not a folder")


def long_paths():
    write_voices(Path(LONG), 2, files=("1",))
    return {"speech": LONG}


def head_run():
    """Write the files of a head run whose verdict kept the trained head, and trials."""
    corpus = write_voices(Path("corpus"), 2, files=("1", "2"))
    for seed, name in enumerate(("rotation", "start", "trained"), start=1):
        write_tiny_model(Path("run") / f"{name}.pt", (4, 8), seed=seed)
    shutil.copy("run/trained.pt", "run/best.pt")
    ids = sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav"))
    lines = [f"{int(ids[0][:8] == other[:8])} {ids[0]} {other}\n" for other in ids[1:]]
    Path("trials.txt").write_text("".join(lines))


def three_models():
    """Write models with the same widths."""
    head_run()
    for name in ("a", "b", "c"):
        write_tiny_model(Path(f"{name}.pt"), (4, 8), seed=ord(name))


SITUATIONS = [
    Situation(
        "three models have their differences in a table of their own",
        ("compare", "a.pt", "b.pt", "c.pt", "--trials", "trials.txt", "--audio-root", "corpus"),
        0,
        ("width EER % A EER % B EER % C winner", "difference width EER %", "B − A 4", "C − B 8"),
        prepare=three_models,
    ),
    Situation(
        "end of a run names page and next command",
        ("train", "--config", "tiny.yaml"),
        0,
        (
            "EER % by width, best.pt on held-out speakers",
            "report: checkpoints/one/report/index.html",
            "To evaluate: mrlspk eval checkpoints/one/best.pt",
        ),
        prepare=write_page,
    ),
    Situation(
        "file in place of a page loses no run",
        ("train", "--config", "tiny.yaml"),
        0,
        ("warning: the page of the run was not written", "best checkpoint: checkpoints/one/best.pt"),
        prepare=cannot_write_page,
    ),
    Situation(
        "long names of recordings stay whole",
        ("embed", "{speech}", "--model", "{model}", "-o", "x.npz"),
        0,
        ("written to x.npz",),
        prepare=long_paths,
    ),
    Situation(
        "candidates of a head run are compared by name",
        ("compare", "run", "--trials", "trials.txt", "--audio-root", "corpus"),
        0,
        ("rotation run/rotation.pt", "best run/best.pt (the scores of trained.pt)", "trained − start"),
        prepare=head_run,
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)
