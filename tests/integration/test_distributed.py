"""Runs by several processes: the same whoever starts them, and what one process comes to."""

import json
import shlex
from pathlib import Path

import pytest
import typer

from compared_runs import differences, load, losses
from mrlspk.cli.app import app
from several_processes import ALIKE, HEAD, SCRIPTS, free_port, node_variables, resume, slurm_variables, train

pytestmark = pytest.mark.process

TRIPLETS = "loss.type=Triplet", "loss.triplet_mining=batch_hard", "data.utterances_per_speaker=2"
PAGE = Path(__file__).parents[2] / "docs" / "distributed.md"
STILL = "training.learning_rate=1e-30", "training.min_lr=0", "evaluation.best_by=loss", "training.num_epochs=4"
EVERY_STEP = "logging.save_every_steps=1"
ROUNDING = 1e-3  # of batches of another size, amplified by the steps: up to 3e-4 on a processor with AVX-512


@pytest.fixture(scope="module")
def whole(processes):
    """The run that all others are compared with."""
    return processes.whole("whole")


def apart(one, other):
    """Return how far the losses of two runs are apart at most, as a share where they are above 1."""
    a, b = losses(one), losses(other)
    assert a.keys() == b.keys()
    return max(abs(a[key] - b[key]) / max(1, abs(a[key])) for key in a)


def documented(*beginnings):
    """Return the commands in the code of the page that begin so, in words."""
    blocks = PAGE.read_text().split("```sh\n")[1:]
    lines = [line for block in blocks for line in block.partition("```")[0].splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(beginnings)]


def made_small(words, *, n_processes, port):
    """Return the words of torchrun that are before those of ``mrlspk``, for this machine."""
    small = {"8": str(n_processes), "node0": "127.0.0.1", "29500": port}
    return [small.get(word, word) for word in words[1 : words.index("mrlspk") + 1]]


@pytest.mark.parametrize("words", documented("mrlspk", "torchrun", "srun"), ids=" ".join)
def test_commands_of_the_page_have_such_flags(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").touch()
    command = typer.main.get_command(app).commands["train"]
    command.make_context("train", words[words.index("train") + 1 :])  # raises for an unknown flag


def test_documented_command_trains_in_two_processes_and_leaves_one_run(runs, whole):
    (words,) = documented("torchrun --nproc-per-node")
    command = [SCRIPTS / "torchrun", "--master-port", free_port(), *made_small(words, n_processes=2, port="")]
    started = runs.starter.run(*command, *train("torchrun"), cwd=runs.folder)
    assert started.exit_code() == 0, started.stderr
    assert json.loads(started.stdout)["run_dir"] == "checkpoints/torchrun"  # one document, though two processes ran
    assert started.stderr.count("epoch 1/2") == 1
    assert "2 processes, 4 crops a step" in started.stderr
    assert differences(whole, runs.dir("torchrun")) == []
    events = [json.loads(line)["event"] for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert events == ["run", *["step"] * 3, "epoch", *["step"] * 3, "epoch"]
    assert load(whole / "last.pt")["processes"] == {"n": 2, "effective_batch": 4}


def test_two_machines_train_as_one_with_as_many_processes(runs, whole):
    port = free_port()
    nodes = [
        runs.starter.fork("torchrun", *made_small(words, n_processes=1, port=port), *train("machines"), cwd=runs.folder)
        for words in documented("torchrun --nnodes")
    ]
    assert [node.exit_code() for node in nodes] == [0, 0], nodes[0].stderr + nodes[1].stderr
    assert (json.loads(nodes[0].stdout)["epochs"], nodes[1].stdout) == (2, "")
    assert differences(whole, runs.dir("machines")) == []


def test_machines_without_torchrun_train_as_those_with_it(runs, whole):
    run_dir = runs.whole("nodes", "hardware.nodes=2", variables=node_variables)
    assert differences(whole, run_dir) == []


def test_processes_that_the_first_one_starts_train_as_those_of_torchrun(runs, whole):
    command = [SCRIPTS / "python", "-m", "mrlspk", *train("started", "hardware.devices=2")]
    started = runs.starter.run(*command, cwd=runs.folder)
    assert started.exit_code() == 0, started.stderr
    assert json.loads(started.stdout)["epochs"] == 2
    assert differences(whole, runs.dir("started")) == []


def test_console_script_starts_the_other_processes_too(runs, whole):
    started = runs.fabric("script", flags=("--quiet",))
    assert (started.exit_code(), started.stderr.count("\n")) == (0, 1), started.stderr
    assert "6 steps are few to train with" in started.stderr  # by the first process alone
    assert json.loads(started.stdout)["epochs"] == 2
    assert differences(whole, runs.dir("script")) == []


def test_processes_of_slurm_train_as_those_of_torchrun(runs, whole):
    assert differences(whole, runs.whole("slurm", variables=slurm_variables)) == []


def test_each_process_sees_its_own_crops(runs):
    seen = {}
    runs.alone("seen-by-one", "training.batch_size=4", fault="note_crops")
    runs.whole("seen-by-two", fault="note_crops")
    for kind in ("trained", "validated"):
        seen = {rank: (runs.folder / f"{kind}-{rank}.txt").read_text().split("\n")[:-1] for rank in ("alone", "0", "1")}
        assert len(seen["0"]) == len(seen["1"]) == len(seen["alone"]) / 2
        if kind == "validated":
            assert not set(seen["0"]) & set(seen["1"])
            assert sorted(seen["0"] + seen["1"]) == sorted(seen["alone"])
            continue
        pairs = [seen[rank][at : at + 2] for at in range(0, len(seen["0"]), 2) for rank in ("0", "1")]
        assert sum(pairs, []) == seen["alone"]  # two crops of each process make a batch of four of one
        assert len({line for line in seen["alone"] if line.startswith("0 ")}) > 2


@pytest.mark.parametrize(
    ("settings", "in_parts"),
    [
        (ALIKE, True),
        ((*HEAD, "loss.distillation_weight=0", "head.flatten=0"), True),  # flattening amplifies the rounding of vectors
        ((*HEAD, "loss.distillation_teacher=origin.pt", "loss.distillation_weight=1"), False),
        ((*ALIKE, *TRIPLETS), False),
        ((*HEAD, *TRIPLETS), False),
    ],
    ids=["end-to-end", "head", "taught-head", "triplets", "head-triplets"],
)
def test_losses_are_those_of_one_process_with_as_many_crops_a_step(runs, request, settings, in_parts):
    """Of accumulated batches too, but for what looks at a whole batch: it sees all processes, and no batch but one."""
    name = request.node.callspec.id
    one = runs.alone(f"{name}-one", *settings, "training.batch_size=4")
    assert apart(one, runs.whole(f"{name}-two", *settings)) < ROUNDING
    if in_parts:
        assert apart(one, runs.alone(f"{name}-parts", *settings, "training.accumulation_steps=2")) < ROUNDING


@pytest.mark.parametrize("settings", [(), HEAD], ids=["all", "head"])
def test_crashed_run_resumes_bit_for_bit(runs, request, settings):
    name = request.node.callspec.id
    expected = runs.whole(f"{name}-whole", EVERY_STEP, *settings)
    crashed = runs.start(f"{name}-crashed", EVERY_STEP, *settings, fault="crash_in_fifth_step")
    assert [each.exit_code() for each in crashed] == [9, 9]
    assert load(runs.dir(f"{name}-crashed") / "last.pt")["progress"]["step"] == 4
    again = runs.whole(f"{name}-crashed", EVERY_STEP, *settings, flags=("--resume", "auto"))
    assert differences(expected, again) == []


def test_other_number_of_processes_resumes_only_with_equal_steps(runs):
    expected = runs.whole("kept", EVERY_STEP, *ALIKE)
    for each in runs.start("converted", EVERY_STEP, *ALIKE, fault="crash_in_fifth_step"):
        assert each.exit_code() == 9
    refused = runs.starter.fork("mrlspk", *resume("converted"), cwd=runs.folder)
    assert refused.exit_code() == 1
    shown = " ".join(refused.stderr.split())
    assert "it was trained by 2 processes with 4 crops a step, and now there would be 1 with 2" in shown
    assert "Start 2, or accept the change with --allow-changes" in shown
    assert "--set training.accumulation_steps=2" in shown
    command = resume("converted", "training.accumulation_steps=2", flags=("--allow-changes",))
    allowed = runs.starter.fork("mrlspk", *command, cwd=runs.folder)
    assert allowed.exit_code() == 0, allowed.stderr
    assert apart(expected, runs.dir("converted")) < ROUNDING
    assert load(runs.dir("converted") / "last.pt")["processes"] == {"n": 1, "effective_batch": 4}


def test_head_run_of_two_processes_stores_and_writes_what_one_does(runs):
    settings = *HEAD, "head.rotation=auto"
    found = {}
    for n in (1, 2):
        features = f"features.folder=features-{n}"
        options = {"n_processes": n}
        found[n] = runs.whole(f"head-{n}", *settings, features, f"training.batch_size={4 // n}", **options)
    stores = [
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        for folder in (runs.folder / "features-1", runs.folder / "features-2")
    ]
    without = [{name: data for name, data in store.items() if ".locks" not in name} for store in stores]
    assert len(without[0]) > 3
    assert without[0] == without[1]
    assert {path.name for path in found[1].iterdir()} == {path.name for path in found[2].iterdir()}
    rotations = [load(found[n] / "rotation.pt") for n in (1, 2)]
    assert all((rotations[0]["model"][name] == value).all() for name, value in rotations[1]["model"].items())


@pytest.mark.parametrize(
    "settings",
    [
        (*HEAD, "training.lora={rank: 2, targets: [pointwise]}"),
        ("training.freeze_backbone_epochs=1",),
        ("loss.n_dims_per_step=1", "loss.class_matrix=per_width"),
        ("training.average_last=2", "loss.type=SubCenter", "data.sampler=shuffle"),
        (*ALIKE, *STILL, "training.early_stopping_epochs=1", "data.num_workers=1"),
    ],
    ids=["adapters", "two-stages", "drawn-widths", "averaged", "ends-early"],
)
def test_recipe_runs_in_two_processes(runs, request, settings):
    name = request.node.callspec.id
    run_dir = runs.whole(name, *settings)
    last = load(run_dir / "last.pt")
    assert last["processes"] == {"n": 2, "effective_batch": 4}
    assert last["progress"]["epoch"] == 2
    assert (run_dir / "averaged.pt").exists() == (name == "averaged")


def test_dry_run_shows_one_plan_of_all_processes(runs):
    first, second = runs.start("planned", flags=("--dry-run",))
    assert (first.exit_code(), second.exit_code()) == (0, 0), first.stderr + second.stderr
    assert (json.loads(first.stdout)["steps_per_epoch"], second.stdout) == (3, "")  # 12 crops, 2 of each process a step
    assert not runs.dir("planned").exists()
