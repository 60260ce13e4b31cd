"""Compare what two versions of mrlspk compute on real speech, value by value.

Record the older version, then the newer one with the files of the older, then compare:

    scripts/check_unchanged.py record before --source ../mrlspk-before
    scripts/check_unchanged.py record after --old before
    scripts/check_unchanged.py compare before after

`record` runs embed, eval, rotate, compare, calibrate, verify, data check, pretrained inspect and train with --json.
With `--old` it also scores the older version's checkpoints and finishes the runs that it left interrupted. `compare`
exits 1 and lists each value that differs; versions, timings and texts are left out.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

# Keys whose values are versions, timings, or texts that may be reworded.
LEFT_OUT = {
    "mrlspk_version",
    "message",
    "where",
    "warnings",
    "remark",
    "reason",
    "source",
    "speakers_from",
    "description",
    "note",
}
FILE_KEYS = {".sha256", ".bytes"}  # of a checkpoint, which holds versions and texts too
RESUMED_KEYS = "best", "best_epoch", "epochs", "verdict"  # of a run that was resumed, whose folder has another name
SAVES_BEFORE_STOP = 3
STOPPED = 143

TRIALS = {
    "english": ("trials-english.txt", "test"),
    "crosslingual": ("trials-crosslingual.txt", "test"),
    "short": ("trials-short.txt", "test-short"),
}
CUT = "--dims", "64,128,192", "--allow-untrained-dim"
PAIR = "speech/test/ls01688/142285/00001.wav", "speech/test/ls01688/142285/00002.wav"
OTHER = "speech/test/ls02033/164914/00001.wav"

RUN: dict[str, Any] = {
    "data": {
        "train_dataset": "corpus",
        "val_dataset": None,
        "n_validation_speakers": 22,
        "n_validation_trials": 1000,
        "validation_seconds": 1.0,
        "chunk_duration": 1.0,
        "num_workers": 0,
        "noise_probability": 0.5,
    },
    "hardware": {"device": "cpu"},
    "logging": {"tensorboard": False, "wandb": False, "save_every_steps": 2},
    "evaluation": {"n_resamples": 200},
}
NETWORK: dict[str, Any] = {
    "model": {
        "pretrained": {"use_pretrained": False},
        "backbone": {"F": 8, "C": 4, "block_1d_type": "conv", "stages_setup": [[1, 1, 1, [[3, 3]], None]]},
        "matryoshka_dims": [4, 8],
        "trained_dims": [4, 8],
    },
    "training": {"num_epochs": 3, "batch_size": 8, "freeze_backbone_epochs": 0, "learning_rate": 0.01},
}
HEAD: dict[str, Any] = {
    "model": {
        "pretrained": {"use_pretrained": True, "pretrained_checkpoint": "model.pt"},
        "matryoshka_dims": [64, 128, 192],
    },
    "training": {"num_epochs": 4, "batch_size": 16},
    "features": {"crops_per_utterance": 2, "batch_size": 8},
}


class Recorder:
    """Runs commands of one version in a folder and keeps their JSON documents.

    Args:
        folder: Where the commands run.
        out: Where the documents go.
        source: Checkout whose ``src`` is run.
    """

    def __init__(self, folder: Path, out: Path, source: Path) -> None:
        self.folder, self.out = folder, out
        self._environment = os.environ | {
            "PYTHONPATH": str(source.resolve() / "src"),
            "MRLSPK_CACHE_DIR": str(folder.resolve() / "cache"),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, name: str, *arguments: str, only: tuple[str, ...] | None = None) -> None:
        """Run a command to its end and keep its document, or ``only`` some keys, as ``name.json``."""
        print(f"{name}: mrlspk {' '.join(arguments)}", flush=True)
        process = subprocess.run(
            [sys.executable, "-m", "mrlspk", *arguments, "--json"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if not process.stdout:
            raise SystemExit(f"{name} failed with {process.returncode}:\n{process.stderr}")
        document = json.loads(process.stdout) | {"exit_code": process.returncode}
        self.keep(name, document if only is None else {key: document[key] for key in only if key in document})

    def run_until_saved(self, *arguments: str, last: Path) -> None:
        """Start a training run and stop it with SIGTERM once it has saved ``last`` several times."""
        print(f"interrupted: mrlspk {' '.join(arguments)}", flush=True)
        command = [sys.executable, "-m", "mrlspk", *arguments, "--quiet"]
        with subprocess.Popen(command, cwd=self.folder, env=self._environment) as process:
            saved = set[int]()
            while process.poll() is None and len(saved) < SAVES_BEFORE_STOP:
                time.sleep(0.002)
                saved |= {last.stat().st_mtime_ns} if last.is_file() else set()
            process.send_signal(signal.SIGTERM)
        if process.returncode != STOPPED:
            raise SystemExit(f"expected exit code {STOPPED} of a run that is stopped, got {process.returncode}")

    def keep(self, name: str, document: dict[str, Any]) -> None:
        """Write a document."""
        (self.out / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")

    def keep_weights(self, name: str, run_dir: str) -> None:
        """Keep a SHA-256 of the weights in each checkpoint of a run."""
        found = sorted((self.folder / run_dir).glob("*.pt"))
        self.keep(name, {path.name: {part: _digest(path, part) for part in ("model", "criterion")} for path in found})


def _digest(path: Path, part: str) -> str:
    digest = hashlib.sha256()
    for name, values in torch.load(path, weights_only=True, map_location="cpu")[part].items():
        digest.update(name.encode() + values.contiguous().numpy().tobytes())
    return digest.hexdigest()


def record(out: Path, source: Path, shared: Path, old: Path | None) -> None:
    """Run all commands of a version; with ``old``, also on what an older version left."""
    out.mkdir(parents=True)
    folder = out / "work"
    _lay_out(folder, shared)
    recorder = Recorder(folder, out, source)
    _embed_and_check(recorder)
    recorder.run("rotate", "rotate", "model.pt", "--speech", "corpus", "-o", "rotated.pt", "--dims", "16,64,128")
    for kind in ("network", "head"):
        recorder.run(f"train-{kind}", "train", "--config", f"{kind}.yaml", "--set", f"logging.run_name={kind}")
        recorder.keep_weights(f"weights-{kind}", f"checkpoints/{kind}")
        run = "--set", f"logging.run_name={kind}-stopped"
        last = folder / "checkpoints" / f"{kind}-stopped" / "last.pt"
        recorder.run_until_saved("train", "--config", f"{kind}.yaml", *run, last=last)
    _score(recorder)
    if old is not None:
        _record_old(out, source, old)


def _record_old(out: Path, source: Path, old: Path) -> None:
    """Score what the older version left, and finish its interrupted runs."""
    folder = out / "old"
    shutil.copytree(old / "work", folder, symlinks=True)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    (out / "old-documents").mkdir()
    recorder = Recorder(folder, out / "old-documents", source)
    _score(recorder)
    for kind in ("network", "head"):
        arguments = "--config", f"{kind}.yaml", "--set", f"logging.run_name={kind}-stopped", "--resume", "auto"
        recorder.run(f"train-{kind}", "train", *arguments, only=RESUMED_KEYS)
        recorder.keep_weights(f"weights-{kind}", f"checkpoints/{kind}-stopped")


def _lay_out(folder: Path, shared: Path) -> None:
    """Give a folder speech, model, configurations, a training corpus and a cohort."""
    folder.mkdir()
    (folder / "speech").symlink_to((shared / "speech").resolve())
    shutil.copy(shared / "pretrained/redimnet-small-speech.pt", folder / "model.pt")
    speakers = [each for each in sorted((shared / "speech/train").glob("ls*")) if len([*each.rglob("*.m4a")]) > 1]
    for name, some in (("corpus", speakers[:48]), ("cohort", speakers[48:72])):
        (folder / name).mkdir()
        for speaker in some:
            (folder / name / speaker.name).symlink_to(speaker.resolve())
    for name, own in (("network", NETWORK), ("head", HEAD)):
        config = {section: RUN.get(section, {}) | own.get(section, {}) for section in RUN.keys() | own.keys()}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))


def _embed_and_check(recorder: Recorder) -> None:
    model = "--model", "model.pt"
    recorder.run("embed", "embed", "speech/test/ls02033", "speech/test/ar00021", "corpus", *model)
    recorder.run("embed-64", "embed", PAIR[0], OTHER, *model, "--dim", "64", "--allow-untrained-dim")
    recorder.run("check-train", "data", "check", "speech/train", "--decode", "none")
    recorder.run("check-corpus", "data", "check", "corpus", "--against", "cohort", "--decode", "all")
    recorder.run("check-test", "data", "check", "speech/test", "--trials", "speech/trials-english.txt")
    recorder.run("inspect", "pretrained", "inspect", "model.pt")


def _score(recorder: Recorder) -> None:
    """Score a published model, a rotated one and a trained head; calibrate and verify."""
    for name, (trials, root) in TRIALS.items():
        arguments = "--trials", f"speech/{trials}", "--audio-root", f"speech/{root}"
        recorder.run(f"eval-{name}", "eval", "model.pt", *arguments, *CUT)
        recorder.run(f"eval-head-{name}", "eval", "checkpoints/head/best.pt", *arguments, "--baselines")
    short = "--trials", "speech/trials-short.txt", "--audio-root", "speech/test-short"
    recorder.run("inspect-head", "pretrained", "inspect", "checkpoints/head/best.pt")
    recorder.run("inspect-rotated", "pretrained", "inspect", "rotated.pt")
    recorder.run("eval-rotated", "eval", "rotated.pt", *short, "--durations", "1,full", "--baselines")
    recorder.run("eval-norm", "eval", "rotated.pt", *short, "--score-norm", "as", "--cohort", "cohort", "--top-n", "20")
    recorder.run("compare", "compare", "model.pt", "rotated.pt", "checkpoints/head/trained.pt", *short, *CUT)
    recorder.run("calibrate", "calibrate", "rotated.pt", *short, "-o", "calibration.json", "--force")
    for name, pair in (("same", PAIR), ("different", (PAIR[0], OTHER))):
        recorder.run(f"verify-{name}", "verify", *pair, "--model", "model.pt", *CUT)
        calibrated = "--model", "rotated.pt", "--calibration", "calibration.json"
        recorder.run(f"verify-{name}-calibrated", "verify", *pair, *calibrated)


def compare(before: Path, after: Path) -> list[str]:
    """Return each value that differs between two records."""
    found = []
    for folder in (after, after / "old-documents"):
        for path in sorted(folder.glob("*.json")):
            old, new = (json.loads(each.read_text()) for each in (before / path.name, path))
            if folder != after and path.name.startswith("train-"):
                old = {key: old[key] for key in RESUMED_KEYS if key in old}
            where = path.relative_to(after).as_posix()
            found += [f"{where}: {difference}" for difference in differences(old, new)]
    missing = {path.name for path in before.glob("*.json")} - {path.name for path in after.glob("*.json")}
    return found + [f"{name}: not recorded" for name in sorted(missing)]


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """Yield where two documents differ, keys in `LEFT_OUT` aside."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key not in LEFT_OUT and f"{where}.{key}" not in FILE_KEYS:
                yield from differences(a.get(key, "absent"), b.get(key, "absent"), f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif a != b:
        yield f"{where}: {a!r:.60} became {b!r:.60}"


def main() -> int:
    """Record or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run all commands of a version")
    recording.add_argument("out", type=Path)
    recording.add_argument("--source", type=Path, default=Path(__file__).parents[1], help="checkout to run")
    recording.add_argument("--shared", type=Path, default=Path(os.environ.get("MRLSPK_SHARED", "../shared")))
    recording.add_argument("--old", type=Path, help="record of an older version, whose files are used too")
    comparing = commands.add_parser("compare", help="compare two records")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.command == "record":
        record(options.out, options.source, options.shared, options.old)
        return 0
    found = compare(options.before, options.after)
    print("\n".join(found) or f"no difference in {len([*options.before.glob('*.json')])} documents")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
