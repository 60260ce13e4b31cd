"""Run the main commands on real speech and write docs/real-speech.md.

    .venv/bin/python scripts/real_speech.py --shared ../shared --work checkpoints/real-speech

Checks the training corpus, trains configs/scratch-small.yaml on it, scores three trial lists at every width beside an
untrained baseline, compares two checkpoints and embeds one file. A finished training run is kept: run it again to
rewrite the document. Exits with 1 if a limit is missed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE, load_audio
from mrlspk.data.trials import read_trials
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate

LISTS = {"english": "test", "crosslingual": "test", "short": "test-short"}
DIMS = "64,128,192,256"
FULL_WIDTH_LIMITS = {"english": 0.04, "crosslingual": 0.14}  # EER at the full width
NARROW_FACTOR = 1.3  # the narrowest width may have this many times these


def mrlspk(*arguments: object) -> dict[str, object]:
    """Run a command with ``--json`` and return its document."""
    command = [sys.executable, "-m", "mrlspk", *map(str, arguments), "--json"]
    print("$ mrlspk", *map(str, arguments), file=sys.stderr)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    document: dict[str, object] = json.loads(done.stdout)
    return document


def cepstra(paths: Iterable[Path]) -> NDArray[np.float64]:
    """Return mean and deviation over time of 20 cepstra, (files, 40): an embedding without training."""
    mfcc = torchaudio.transforms.MFCC(
        SAMPLE_RATE, n_mfcc=20, melkwargs={"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40}
    )
    frames = (mfcc(load_audio(path)) for path in paths)
    return np.stack([torch.cat((x.mean(1), x.std(1))).double().numpy() for x in frames])


def baseline_eers(speech: Path) -> dict[str, float]:
    """Return the EER of the cepstra on each list: cosine, each value standardised over the files of the list itself.

    It uses the test audio but no label: a stronger baseline than statistics of the training speech.
    """
    found = {}
    for name, root in LISTS.items():
        trials = read_trials(speech / f"trials-{name}.txt")
        row = {utterance_id: index for index, utterance_id in enumerate(trials.utterance_ids)}
        vectors = cepstra(speech / root / utterance_id for utterance_id in row)
        vectors = (vectors - vectors.mean(0)) / vectors.std(0)
        enroll, test = (np.array([row[i] for i in side]) for side in (trials.enroll_ids, trials.test_ids))
        scores = prefix_cosine_scores(vectors, enroll, test, [vectors.shape[1]])
        found[name] = equal_error_rate(scores[:, 0], trials.is_target)
    return found


def train(speech: Path, work: Path) -> dict[str, object]:
    """Train once; return the report and the duration."""
    report_path = work / "report.json"
    if not report_path.exists():
        started = time.time()
        report = mrlspk(
            "train", "--config", "configs/scratch-small.yaml", "--set", f"data.train_dataset={speech / 'train'}",
            "--set", f"logging.save_dir={work}", "--set", "logging.run_name=scratch-small",
        )  # fmt: skip
        report_path.write_text(json.dumps(report | {"seconds": time.time() - started}, indent=2))
    kept: dict[str, object] = json.loads(report_path.read_text())
    return kept


def trial_flags(speech: Path) -> list[object]:
    """Return the three lists and their folders as flags."""
    lists = [part for name in LISTS for part in ("--trials", speech / f"trials-{name}.txt")]
    roots = [part for root in LISTS.values() for part in ("--audio-root", speech / root)]
    return [*lists, *roots, "--dims", DIMS]


def percent(rate: float) -> str:
    """Return a rate as it stands in a table."""
    return f"{100 * rate:.2f}"


def result_table(scored: dict[str, object], baseline: dict[str, float]) -> str:
    """Return a Markdown table: EER of every width and of the baseline on every list."""
    widths = [int(width) for width in DIMS.split(",")]
    lines = [
        "| list | trials | " + " | ".join(map(str, widths)) + " | 64 / 256 | untrained cepstra |",
        "|---|---|" + "---|" * (len(widths) + 2),
    ]
    for name, entry in zip(LISTS, scored["trials"], strict=True):  # type: ignore[call-overload]
        eers = [result["eer"] for result in entry["results"]]
        count = f"{entry['n_target']} + {entry['n_nontarget']}"
        cells = [*map(percent, eers), f"{eers[0] / eers[-1]:.2f}" if eers[-1] else "–", percent(baseline[name])]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def eers_by_list(scored: dict[str, object]) -> dict[str, list[float]]:
    """Return the EERs of every list, by rising width."""
    entries = zip(LISTS, scored["trials"], strict=True)  # type: ignore[call-overload]
    return {name: [result["eer"] for result in entry["results"]] for name, entry in entries}


def missed_limits(eers: dict[str, list[float]], baseline: dict[str, float]) -> list[str]:
    """Return a line for every missed limit.

    Args:
        eers: EERs of every list, by rising width.
        baseline: EER of the untrained cepstra, which every width must be below.
    """
    missed = []
    for name, limit in FULL_WIDTH_LIMITS.items():
        for width, eer, most in (("full", eers[name][-1], limit), ("narrowest", eers[name][0], NARROW_FACTOR * limit)):
            if eer > most:
                missed.append(f"{name}: {percent(eer)} % at the {width} width, expected at most {percent(most)} %")
    for name, rates in eers.items():
        if max(rates) >= baseline[name]:
            missed.append(f"{name}: {percent(max(rates))} %, not below the {percent(baseline[name])} % of the cepstra")
    return missed


def ratio_note(scored: dict[str, object]) -> str:
    """Return a sentence about the ratio of the narrowest width to the full one on each list."""
    eers = eers_by_list(scored)
    ratios = {name: rates[0] / rates[-1] if rates[-1] else float("inf") for name, rates in eers.items()}
    narrow, full = eers["english"][0], eers["english"][-1]
    n_target = scored["trials"][list(LISTS).index("english")]["n_target"]  # type: ignore[index]
    english = ratios.pop("english")
    others = " and ".join(f"{ratio:.2f}" for ratio in ratios.values())
    return (
        f"for English, {english:.2f} compares {n_target * narrow:.1f} target trials with {n_target * full:.1f} "
        f"({percent(narrow)} % against {percent(full)} %) and means nothing;\n"
        f"on the other two lists it is {others}, {'' if max(ratios.values()) < NARROW_FACTOR else 'not '}below "
        f"{NARROW_FACTOR}."
    )


def compare_table(compared: dict[str, object], names: tuple[str, str]) -> str:
    """Return a Markdown table: two checkpoints at full width on every list."""
    lines = [f"| list | {names[0]} | {names[1]} | difference |", "|---|---|---|---|"]
    for name, entry in zip(LISTS, compared["trials"], strict=True):  # type: ignore[call-overload]
        full = entry["results"][-1]
        eers = [model["eer"] for model in full["models"]]
        delta = 100 * full["pairs"][0]["delta_eer"]
        lines.append(f"| {name} | {percent(eers[0])} | {percent(eers[1])} | {delta:+.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Run everything and write the document; return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("MRLSPK_SHARED", "../shared"))
    parser.add_argument("--shared", type=Path, default=shared, help="folder that contains speech/")
    parser.add_argument("--work", type=Path, default=Path("checkpoints/real-speech"), help="folder of the run")
    parser.add_argument("--out", type=Path, default=Path("docs/real-speech.md"), help="document to write")
    arguments = parser.parse_args()
    speech, work = arguments.shared / "speech", arguments.work
    work.mkdir(parents=True, exist_ok=True)
    checked = mrlspk("data", "check", speech / "train")
    report = train(speech, work)
    run_dir = Path(str(report["run_dir"]))
    other = sorted(run_dir.glob("epoch-*.pt"))[0]
    started = time.time()
    scored = mrlspk("eval", run_dir / "best.pt", *trial_flags(speech))
    eval_seconds = time.time() - started
    compared = mrlspk("compare", other, run_dir / "best.pt", *trial_flags(speech))
    recording = next((speech / "train").glob("ar*/*/*.m4a"))
    embedded = mrlspk("embed", recording, "--model", run_dir / "best.pt", "--dim", 64)
    first = embedded["embeddings"][0]  # type: ignore[index]
    baseline = baseline_eers(speech)
    text = (Path(__file__).with_name("real_speech.md.in")).read_text()
    values = {
        "speakers": checked["speakers"],
        "utterances": checked["utterances"],
        "hours": f"{float(str(checked['seconds'])) / 3600:.1f}",
        "minutes": f"{float(str(report['seconds'])) / 60:.0f}",
        "epochs": report["epochs"],
        "best_epoch": report["best_epoch"],
        "validation": ", ".join(f"{percent(eer)} at {dim}" for dim, eer in report["best"].items()),  # type: ignore[attr-defined]
        "machine": f"{os.cpu_count()} cores, no GPU, Python {platform.python_version()}, torch {torch.__version__}",
        "results": result_table(scored, baseline),
        "ratio_note": ratio_note(scored),
        "eval_seconds": f"{eval_seconds:.0f}",
        "comparison": compare_table(compared, (other.name, "best.pt")),
        "recording": recording.relative_to(speech),
        "seconds": f"{first['seconds']:.2f}",
        "width": first["dim"],
        "vector": " ".join(f"{value:+.4f}" for value in first["embedding"][:4]),
    }
    arguments.out.write_text(text.format(**values))
    print(f"wrote {arguments.out}", file=sys.stderr)
    missed = missed_limits(eers_by_list(scored), baseline)
    print(*(f"missed: {line}" for line in missed), sep="\n", end="\n" if missed else "", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
