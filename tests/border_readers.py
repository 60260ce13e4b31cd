"""The readers of the program and the border values that they meet, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

# A path that no file is at, or that cannot be opened or read.
PATHS = "missing", "folder", "unreadable", "loop"
NAMES = ("300 bytes in its name",)
# Content that no format allows.
CONTENTS = "empty", "truncated", "enormous", "NUL", "not UTF-8"
# Values in the place of a good one: as in YAML, and as in JSON.
VALUES = {
    "infinite": (".inf", "Infinity"),
    "NaN": (".nan", "NaN"),
    "negative": ("-1", "-1"),
    "10^23": ("1" + "0" * 23, "1" + "0" * 23),
    "5,000 digits": ("9" * 5000, "9" * 5000),
    "no date": ("2026-13-45", '"2026-13-45"'),
    "no number": ("!!int x", "0x"),
    "nested": ("[" * 20_000 + "]" * 20_000, "[" * 20_000 + "]" * 20_000),
}

SCORING = "--audio-root {world}/corpus --no-cache"
EVAL = "eval {world}/model.pt --trials {world}/trials.txt " + SCORING
EVAL_LIST = "eval {world}/model.pt --trials {path} " + SCORING
VERIFY = "verify {world}/a.wav {world}/b.wav --model {world}/model.pt"
TRAIN = "train --config {world}/tiny.yaml"
HEAD = "train --config {world}/head.yaml"

CELLS = dict.fromkeys(VALUES, "the cell of a table is text")
SHORTER = {"truncated": "a list that is cut at the end of a line is a shorter list"}
SAMPLES = {
    "NUL": "one more byte of samples",
    "not UTF-8": "one more byte of samples",
}


@dataclass(frozen=True)
class Reader:
    """A reader of the program.

    Attributes:
        command: That reads ``{path}``; ``{quoted}`` is the same as a value of YAML.
        code: Its exit code for a faulty file.
        good: Name of a good file in the world; None if a folder is read.
        valued: Content with ``{value}`` in the place of a good one; None if the format has no values.
        places: Of a faulty value: the message names one of these beside the file.
        named: What it names in place of the file if a value is at fault.
        accepts: Faults that are none for this reader, with the reason.
        folder: Folder in the world that ``good`` is in; the command reads the folder.
    """

    command: str
    code: int
    good: str | None = None
    valued: str | None = None
    places: tuple[str, ...] = ()
    named: str | None = None
    accepts: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None

    @property
    def suffix(self) -> str:
        """Suffix of its files."""
        return PurePath(self.good or "").suffix

    @property
    def faults(self) -> tuple[str, ...]:
        """The border values that it can meet."""
        names = () if self.folder else NAMES
        return *PATHS, *names, *(CONTENTS if self.good else ()), *(VALUES if self.valued else ())

    def value(self, fault: str) -> str:
        """Return a border value as its format writes it."""
        return VALUES[fault][self.suffix in {".json", ".jsonl"}]


READERS = {
    "configuration": Reader(
        "train --config {path} --dry-run",
        *(1, "flow.yaml", "{tiny}\nseed: {value}\n", ("seed", "line 43, column")),
        accepts={"empty": "every key has a default"},
    ),
    "migration": Reader(
        "config migrate {path} -o {world}/new.yaml",
        *(1, "old.yaml", "seed: {value}\nadvanced: {{model_name: b2}}\n", ("seed", "line 1, column")),
    ),
    "trials": Reader(
        EVAL_LIST, 3, "trials.txt", "1 speaker0/a/1.wav {value}\n0 speaker0/a/1.wav speaker1/a/1.wav\n", accepts=SHORTER
    ),
    "JSON trials": Reader(
        *(EVAL_LIST, 3, "trials.jsonl", '{{"enroll": {value}, "test": "speaker1/a/1.wav", "target": 0}}')
    ),
    "table of trials": Reader(
        EVAL_LIST, 3, "trials.csv", "enroll,test,target\nspeaker0/a/1.wav,speaker1/a/1.wav,{value}", (":2",)
    ),
    "trials to check": Reader(
        *("data check {world}/corpus --trials {path} --json", 3, "trials.txt", "1 speaker0/a/1.wav {value}\n"),
        accepts=SHORTER,
    ),
    "enrolments": Reader(
        *(EVAL + " --enroll {path}", 3, "enrolments.txt", "speaker0/a/1.wav {value}"), named="trials.txt"
    ),
    "JSON enrolments": Reader(
        EVAL + " --enroll {path}",
        *(3, "enrolments.jsonl", '{{"model": "speaker0/a/1.wav", "utterances": [{value}]}}'),
        named="trials.txt",
    ),
    "wav.scp": Reader(
        "eval {world}/model.pt --trials {world}/trials.txt --no-cache --audio-root {path}",
        *(3, "wav.scp", "speaker0/a/1.wav {value}\n"),
    ),
    "metadata": Reader(
        EVAL + " --by gender --metadata {path}",
        *(3, "speakers.csv", "speaker,gender\nspeaker0,{value}\n"),
        accepts=CELLS,
    ),
    "JSON metadata": Reader(
        EVAL + " --by gender --metadata {path}",
        *(3, "speakers.jsonl", '{{"speaker": "speaker0", "gender": {value}}}', (":1",)),
        accepts={fault: CELLS[fault] for fault in ("infinite", "NaN", "negative", "10^23", "no date")} | SHORTER,
    ),
    "metadata to draw by": Reader(
        "data trials {world}/corpus -o {world}/new.txt --match gender --metadata {path}", 3, "speakers.csv"
    ),
    "calibration": Reader(
        EVAL + " --calibration {path}",
        *(1, "model.calibration.json", '{{"version": {value}}}', ("version", "line 1 column")),
    ),
    "calibration of verify": Reader(VERIFY + " --calibration {path}", 1, "model.calibration.json"),
    "scores": Reader("compare {world}/scores.npz {path}", 3, "scores.npz"),
    "cohort": Reader(EVAL + " --score-norm s --cohort {path}", 3, "cohort.npz"),
    "cohort of verify": Reader(VERIFY + " --calibration {world}/normalised.json --cohort {path}", 3, "cohort.npz"),
    "checkpoint": Reader("embed {world}/a.wav --model {path}", 1, "model.pt"),
    "checkpoint to inspect": Reader("pretrained inspect {path}", 1, "model.pt"),
    "safetensors": Reader("pretrained inspect {path}", 1, "model.safetensors"),
    "checkpoint to convert": Reader("pretrained convert {path} -o {world}/new.pt", 1, "model.pt"),
    "checkpoint to rotate": Reader("rotate {path} --speech {world}/corpus -o {world}/new.pt", 1, "model.pt"),
    "checkpoint to start from": Reader(TRAIN + " --init-from {path}", 1, "model.pt"),
    "checkpoint of a configuration": Reader(
        HEAD + " --set model.pretrained.pretrained_checkpoint={quoted}", 1, "model.pt"
    ),
    "teacher": Reader(HEAD + " --set loss.distillation_teacher={quoted}", 1, "model.pt"),
    "run to resume": Reader("train --resume {path}", 1, "checkpoints/run/last.pt"),
    "last checkpoint of a run": Reader("train --resume {path}", 1, "last.pt", folder="checkpoints/run"),
    "adapter": Reader("pretrained convert {world}/model.pt --adapter {path} -o {world}/new.pt", 1),
    "options of an adapter": Reader(
        "pretrained convert {world}/model.pt --adapter {path} -o {world}/new.pt",
        *(1, "adapter_config.json", '{{"r": {value}, "lora_alpha": 4, "target_modules": []}}'),
        folder="checkpoints/lora/adapter",
        named="adapter",
    ),
    "weights of an adapter": Reader(
        "pretrained convert {world}/model.pt --adapter {path} -o {world}/new.pt",
        *(1, "adapter_model.safetensors"),
        folder="checkpoints/lora/adapter",
    ),
    "corpus": Reader("data check {path}", 3),
    "corpus of trials": Reader("data trials {path} -o {world}/new.txt", 3),
    "corpora of trials": Reader(
        *("data trials {world}/corpus {path} -o {world}/new", 3),
        accepts={"300 bytes in its name": "the file at fault is the new list, which has the name of its corpus"},
    ),
    "corpus to train on": Reader(TRAIN + " --set data.train_dataset={quoted}", 3),
    "corpus to validate on": Reader(TRAIN + " --set data.val_dataset={quoted}", 3),
    "corpus to compare": Reader("data check {world}/corpus --against {path}", 3),
    "corpus to rotate on": Reader("rotate {world}/model.pt --speech {path} -o {world}/new.pt", 3),
    "noise": Reader(TRAIN + " --set data.musan_dataset={quoted}", 3),
    "room responses": Reader(TRAIN + " --set data.rir_dataset={quoted}", 3),
    "trials of a configuration": Reader(
        'eval {world}/model.pt --no-cache --set evaluation.trials=[{{"path":{quoted},"audio_root":"{world}/corpus"}}]',
        *(3, "trials.txt"),
        accepts=SHORTER,
    ),
    "cohort of a configuration": Reader(
        EVAL + " --set evaluation.score_norm=s --set evaluation.cohort={quoted}", 3, "cohort.npz"
    ),
    "metadata of a configuration": Reader(
        TRAIN + " --set data.validation_match=gender --set data.validation_metadata={quoted}", 3, "speakers.csv"
    ),
    "audio": Reader("embed {path} --model {world}/model.pt", 3, "a.wav", accepts=SAMPLES),
    "compressed audio": Reader(
        *("embed {path} --model {world}/model.pt", 3, "a.m4a"),
        accepts={"enormous": "an MPEG-4 file may end with zeros"},
    ),
    "audio of verify": Reader("verify {world}/a.wav {path} --model {world}/model.pt", 3, "a.wav", accepts=SAMPLES),
    "list of audio": Reader(
        "embed {path} --model {world}/model.pt",
        *(3, "audio.txt", "{world}/a.wav\n{value}\n"),
        named="1 of 2 files could not be embedded",
    ),
}
