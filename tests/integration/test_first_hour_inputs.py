"""Situations of the first hour with recordings and lists that are not what they seem."""

import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from first_hour import Situation
from predecessor_file import TEXT


def write_text_named_wav():
    Path("note.wav").write_text("not audio\n")


def write_old_configuration():
    Path("old.yaml").write_text(TEXT)


def write_key_twice():
    Path("run.yaml").write_text("training:\n  batch_size: 8\n  num_epochs: 1\n  batch_size: 16\n")


def write_voice(path="a.wav"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(zlib.crc32(str(path).encode())).normal(0, 0.1, 8000), 16000)


def write_vectors():
    np.savez("v.npz", ids=["a"], embeddings=np.zeros((1, 8), np.float32))


def write_windows_list():
    write_voice("in/a.wav")
    Path("list.txt").write_text("in/a.wav\nin\\a.wav\n")


def write_list_of_another_form():
    write_voice(unicodedata.normalize("NFC", "é.wav"))
    Path("list.txt").write_text(unicodedata.normalize("NFD", "é.wav\n"))


def write_scp_with_command():
    write_voice()
    Path("wav.scp").write_text("one a.wav\ntwo sox a.wav -t wav - |\n")


def write_scp():
    write_voice()
    Path("wav.scp").write_text("one a.wav\ntwo gone.wav\n")


def write_line_feed():
    write_voice("a\nb.wav")
    write_voice("c.wav")


def write_corpus(root="corpus"):
    for speaker in range(6):
        for session in "xy":
            write_voice(f"{root}/s{speaker}/{session}/1.wav")


def write_corpus_below():
    write_corpus("data/train")
    write_voice("data/notes/a.wav")


def write_parts():
    write_voice("data/train/s1/1.wav")
    write_voice("data/test/s2/1.wav")


def write_cn_celeb():
    for name in ("enroll/id1-enroll.wav", "test/id1-a.wav", "test/id2-a.wav"):
        write_voice(f"eval/{name}")
    Path("trials.lst").write_text("id1-enroll test/id1-a.wav 1\nid1-enroll test/id2-a.wav 0\n")
    Path("enroll.lst").write_text("id1-enroll enroll/id1-enroll.wav\n")


CN_CELEB = ("eval", "{model}", "--trials", "trials.lst", "--audio-root", "eval")

SITUATIONS = [
    Situation(
        "file that is missing, and no model named", ("embed", "gone.wav"), 3, ("gone.wav: no such file or folder",)
    ),
    Situation(
        "files to verify are missing, and no model named",
        ("verify", "gone.wav", "lost.wav"),
        3,
        ("gone.wav, lost.wav: no such file or folder",),
    ),
    Situation(
        "model as a recording",
        ("embed", "{model}", "a.wav", "--model", "{model}"),
        3,
        ("is a PyTorch checkpoint, not a recording", "give it as --model {model}."),
        prepare=write_voice,
    ),
    Situation(
        "vectors as a recording",
        ("verify", "v.npz", "v.npz", "--model", "{model}"),
        3,
        ("v.npz: is a file of embeddings, not a recording", "mrlspk vectors inspect v.npz"),
        prepare=write_vectors,
    ),
    Situation(
        "trial list as a model",
        ("eval", "trials.lst"),
        1,
        ("is not a checkpoint but a trial list Give it as --trials trials.lst.",),
        prepare=write_cn_celeb,
    ),
    Situation(
        "misspelt folder of audio, before any model",
        ("compare", "one.pt", "two.pt", "--trials", "trials.lst", "--audio-root", "evall"),
        3,
        ("--audio-root, evall: no such folder Did you mean eval?",),
        prepare=write_cn_celeb,
    ),
    Situation(
        "Windows paths in a list",
        ("embed", "list.txt", "--model", "{model}"),
        3,
        ("list.txt:2: in\\a.wav: no such file: the list has Windows backslashes",),
        prepare=write_windows_list,
    ),
    Situation(
        "another form of Unicode in a list",
        ("embed", "list.txt", "--model", "{model}"),
        3,
        ("list.txt:1: ", "no such file: a file of that name is there in another form of Unicode", "in NFC"),
        prepare=write_list_of_another_form,
    ),
    Situation(
        "command in wav.scp",
        ("embed", "wav.scp", "--model", "{model}"),
        3,
        ("wav.scp:2: expected the path of a file, not a command, got 'two sox a.wav",),
        prepare=write_scp_with_command,
    ),
    Situation(
        "missing file in wav.scp",
        ("embed", "wav.scp", "--model", "{model}"),
        3,
        ("one 0.50", "1 of 2 files could not be embedded: wav.scp:2: gone.wav: no such file"),
        prepare=write_scp,
    ),
    Situation(
        "one file in two spellings",
        ("embed", "./a.wav", "a.wav", "--model", "{model}"),
        2,
        ("a.wav: is given as ./a.wav too", "Give each file once."),
        prepare=write_voice,
    ),
    Situation(
        "line feed in a name",
        ("embed", ".", "--model", "{model}"),
        0,
        (r"a\nb.wav 0.50", "c.wav 0.50"),
        prepare=write_line_feed,
    ),
    Situation(
        "rows on request",
        ("embed", "a.wav", "--model", "{model}", "-o", "out.npz", "--table"),
        0,
        ("a.wav 0.50", "1 embedding written to out.npz"),
        prepare=write_voice,
    ),
    Situation(
        "corpus a level too high",
        ("data", "check", "data"),
        3,
        ("12 of 13 files have no speaker; data/train looks like the corpus",),
        prepare=write_corpus_below,
    ),
    Situation(
        "parts of a corpus as speakers",
        ("data", "check", "data"),
        0,
        ("its speakers are called as parts of a corpus: name data/test",),
        prepare=write_parts,
    ),
    Situation(
        "one speaker as corpus",
        ("data", "check", "corpus/s1"),
        0,
        ("may be one speaker of many: corpus looks like the corpus",),
        prepare=write_corpus,
    ),
    Situation(
        "one session as corpus",
        ("data", "check", "corpus/s1/x"),
        3,
        ("Name the folder whose subfolders are the speakers. corpus looks like it.",),
        prepare=write_corpus,
    ),
    Situation(
        "enrolment list of CN-Celeb not given",
        CN_CELEB,
        3,
        ("1 of 3 utterances are not in eval: id1-enroll", "with --enroll (CN-Celeb: enroll.lst)"),
        prepare=write_cn_celeb,
    ),
    Situation("enrolment list of CN-Celeb", (*CN_CELEB, "--enroll", "enroll.lst"), 0, ("EER",), prepare=write_cn_celeb),
    Situation(
        "old configuration",
        ("train", "--config", "old.yaml"),
        1,
        ("old.yaml: is a configuration of redimnet-mrl", "mrlspk config migrate old.yaml --output old.mrlspk.yaml"),
        prepare=write_old_configuration,
    ),
    Situation(
        "perhaps an old configuration",
        ("train", "--config", "old.yaml"),
        1,
        (
            "model.F (old.yaml): unknown key, of redimnet-mrl: now model.backbone.F",
            "If old.yaml is a configuration of redimnet-mrl, migrate it: "
            "mrlspk config migrate old.yaml --output old.mrlspk.yaml",
        ),
        prepare=lambda: Path("old.yaml").write_text("model: {F: 72, zzz: 1}\n") and None,
    ),
    Situation(
        "model of redimnet-mrl as an override",
        ("train", "--set", "advanced.model_name=b2"),
        1,
        ("advanced.model_name (--set): unknown key, of redimnet-mrl: now model.pretrained.model_name",),
    ),
    Situation(
        "value of another type",
        ("train", "--set", "training.batch_size=many"),
        1,
        ("training.batch_size (--set): expected a whole number or 'auto', got 'many'",),
    ),
    Situation(
        "key of redimnet-mrl",
        ("train", "--set", "data.test_dataset=x"),
        1,
        ("data.test_dataset (--set): unknown key, of redimnet-mrl.", "a name in evaluation.test_datasets."),
    ),
    Situation(
        "key given twice",
        ("train", "--config", "run.yaml"),
        1,
        ("run.yaml", "line 4, column 3: batch_size is given in line 2 already"),
        prepare=write_key_twice,
    ),
    Situation(
        "default corpus absent",
        ("train",),
        3,
        (
            "data.train_dataset (default): data/voxceleb2/dev/aac: no such folder",
            "Set it with --set data.train_dataset=DIR",
        ),
    ),
    Situation(
        "text named wav", ("embed", "note.wav", "--model", "{model}"), 3, ("note.wav",), prepare=write_text_named_wav
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)


def test_dry_run_warns_of_a_run_of_the_same_name(train, checkpoints):
    (checkpoints / "mine").mkdir(parents=True)
    (checkpoints / "mine" / "last.pt").touch()
    outcome = train("--dry-run", name="mine")
    assert outcome.exit_code == 0, outcome.stderr
    assert "a run of this name exists: to train, choose another logging.run_name" in outcome.stderr
    assert train(name="mine").exit_code == 1
