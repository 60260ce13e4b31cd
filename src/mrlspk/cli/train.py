"""``mrlspk train``: train an encoder and show its metrics."""

import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import RenderableType

from mrlspk.cli import output
from mrlspk.cli.completion import complete_model
from mrlspk.cli.options import MOST, AsJson, Bundle, ConfigPath, Debug, OptionalDevice, Quiet
from mrlspk.cli.options import Overrides as Sets
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.train_progress import TrainProgress
from mrlspk.cli.train_summary import train_summary
from mrlspk.cli.vectors import SpeakersPath
from mrlspk.errors import DownloadError, MrlspkError, UsageError

if TYPE_CHECKING:
    from mrlspk.training.head.verdict import Verdict
    from mrlspk.training.records import RunFacts, WarmStart
    from mrlspk.workflows.train import TrainReport

log = logging.getLogger("mrlspk.training")


def train_command(
    *,
    config_paths: ConfigPath = None,
    overrides: Sets = None,
    resume: Annotated[
        str,
        option(
            Panel.TRAINING,
            metavar="<run>",
            help="never, auto (logging.run_name, else the newest run), or the path of a run or checkpoint.",
        ),
    ] = "never",
    allow_changes: Annotated[
        bool,
        option(
            Panel.TRAINING,
            "--allow-changes",
            help="With --resume: accept a changed configuration, corpus or world size.",
        ),
    ] = False,
    init_from: Annotated[
        str | None,
        option(
            Panel.MODEL,
            "--init-from",
            metavar="<model>",
            autocompletion=complete_model,
            help="Start from this model: a path or a name; of another toolkit, train a head on its embeddings.",
        ),
    ] = None,
    vectors: Annotated[
        list[Path] | None,
        option(
            Panel.DATA,
            "--vectors",
            metavar="<file>",
            help="Train a head on these vectors in place of audio: .npz, .npy, .ark, .scp, .parquet, .jsonl; "
            "repeatable.",
        ),
    ] = None,
    speakers: SpeakersPath = None,
    bundle: Bundle = False,
    dry_run: Annotated[
        bool, option(Panel.TRAINING, "--dry-run", help="Build everything, show it, train nothing.")
    ] = False,
    debug_batches: Annotated[
        int | None,
        option(
            Panel.TRAINING,
            "--debug-batches",
            min=1,
            max=MOST,
            metavar="<n>",
            help="End each epoch after so many batches.",
        ),
    ] = None,
    device: OptionalDevice = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Train a Matryoshka encoder, or a head on any model.

    Without options it trains as configs/default.yaml says.

    Example:
        mrlspk train --set data.train_dataset=speech
        mrlspk train --config configs/head.yaml --init-from model.onnx
    """
    from mrlspk.config import load_config, named_keys
    from mrlspk.config.launcher import read_launch
    from mrlspk.config.sources import read_environment

    if init_from is not None and resume not in {"never", "auto"}:
        raise UsageError("exclude each other", "--resume and --init-from", "A resumed run has weights: give one.")
    if allow_changes and resume == "never":
        raise UsageError("needs --resume", "--allow-changes", "Give --resume too, or leave it out.")
    environment = read_environment(os.environ)
    named = [*(overrides or ()), *flag_overrides(init_from, device), *_vector_overrides(vectors, speakers)]
    sets = [*named, *_without_model(vectors, init_from)]  # a resumed run on vectors keeps the model that it has
    config = load_config(config_paths, sets, environment=os.environ)
    launch = read_launch(os.environ)
    options: dict[str, Any] = {"launch": launch, "named_keys": named_keys(config_paths, named, environment=os.environ)}
    options |= {"resume": resume, "allow_changes": allow_changes, "max_batches": debug_batches}
    options |= {"cache_dir": environment.cache_dir, "mirror": environment.mirror}
    if dry_run:
        from mrlspk.workflows.plan_training import plan_training

        quiet_logs(is_first=launch.is_first)
        with _naming_no_model(options["named_keys"]):
            facts = plan_training(config, **options)
        if launch.is_first:
            output.show("train", _plan(facts), _human_plan(facts), as_json=as_json)
        return
    from mrlspk.workflows.train import train

    quiet_logs(is_first=launch.is_first)
    is_quiet = quiet or not launch.is_first
    with _naming_no_model(options["named_keys"]), TrainProgress(quiet=is_quiet) as progress:
        report = train(config, **options, bundle=bundle, observers=[progress], on_stage=progress.stage)
    if launch.is_first:
        page = _write_page(report)
        output.show("train", _payload(report, page), train_summary(report, page), as_json=as_json)


@contextmanager
def _naming_no_model(named_keys: Collection[str]) -> Iterator[None]:
    """Say in the error of a download how to start from a file, if the configuration names no model to fetch."""
    try:
        yield
    except DownloadError as error:
        if any(key.startswith(("model.pretrained", "loss.distillation_teacher")) for key in named_keys):
            raise
        from mrlspk.pretrained.download import no_model_named

        raise no_model_named(error, "--init-from FILE") from error


def _write_page(report: "TrainReport") -> Path | None:
    """Write the page of the run and return its path; None if it is not wanted, or cannot be written."""
    if not report.wants_page:
        return None
    from mrlspk.workflows.report_run import report_run

    folder = report.run_dir / "report"
    try:
        return report_run(report.run_dir, folder, force=True, warnings=output.warnings_so_far())
    except MrlspkError as error:  # the run itself is whole
        log.warning("the page of the run was not written: %s", error)
        return None


def quiet_logs(*, is_first: bool) -> None:
    """Let Fabric, whose import sets its log level, report only dead processes; let only the first process warn."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script").setLevel(logging.INFO)
    if not is_first:
        logging.getLogger("mrlspk").setLevel(logging.ERROR)


def flag_overrides(init_from: str | None, device: str | None) -> Iterator[str]:
    """Yield the settings that the flags stand for."""
    if init_from is not None:
        yield "model.backbone=null"
        yield "model.pretrained.use_pretrained=true"
        yield f"model.pretrained.pretrained_checkpoint={json.dumps(init_from)}"
    if device is not None:
        yield f"hardware.device={device}"


def _without_model(vectors: list[Path] | None, init_from: str | None) -> Iterator[str]:
    """Yield the settings of a run on vectors without ``--init-from``: it has no base model."""
    if vectors and init_from is None:
        yield "model.pretrained.use_pretrained=false"


def _vector_overrides(vectors: list[Path] | None, speakers: Path | None) -> Iterator[str]:
    """Yield the settings that ``--vectors`` and ``--speakers`` stand for.

    Raises:
        UsageError: If speakers are given without vectors.
    """
    if vectors:
        yield f"data.vectors={json.dumps(list(map(str, vectors)))}"
        yield "model.backbone=null"
    if speakers is not None:
        if not vectors:
            raise UsageError("given without vectors", fix="Leave it out.", parameter="speakers")
        yield f"data.speakers={json.dumps(str(speakers))}"


def _payload(report: "TrainReport", page: Path | None) -> dict[str, object]:
    return {
        "run_dir": str(report.run_dir),
        "best_checkpoint": str(report.best_checkpoint),
        "last_checkpoint": str(report.last_checkpoint),
        "epochs": report.epochs,
        "best_epoch": report.best_epoch,
        "best": {str(dim): eer for dim, eer in report.best.items()},
        **_transfer(report.transfer),
        **({"baselines": asdict(report.baselines)} if report.baselines else {}),
        **({"transform": report.transform} if report.transform else {}),
        **_verdict(report.verdict),
        **({"refit": report.refit.model_dump()} if report.refit else {}),
        **({"averaged_epochs": report.averaged_epochs} if report.averaged_epochs else {}),
        "left_out": [each.entry() for each in report.left_out],
        "unreadable": [{"id": each, "message": message} for each, message in report.unreadable.items()],
        "report": None if page is None else str(page),
    }


def _verdict(verdict: "Verdict | None") -> dict[str, object]:
    """Return the verdict, if there is one, with the sentences that a terminal shows."""
    if verdict is None:
        return {}
    from mrlspk.training.head.verdict_words import explain

    return {"verdict": asdict(verdict) | {"summary": list(explain(verdict))}}


def _transfer(transfer: "WarmStart | None") -> dict[str, object]:
    """Return what was taken over from another model, if anything."""
    return {"transfer": asdict(transfer)} if transfer else {}


def _plan(facts: "RunFacts") -> dict[str, object]:
    return {
        "run_dir": facts.run_dir,
        "speakers": facts.n_speakers,
        "utterances": facts.n_utterances,
        "classes": facts.n_classes,
        "validation_speakers": facts.n_validation_speakers,
        "validation_trials": facts.n_validation_trials,
        "trained_parameters": facts.trained_parameters,
        "frozen_parameters": facts.frozen_parameters,
        "steps_per_epoch": facts.steps_per_epoch,
        "epochs": facts.num_epochs,
        **({"stored_vectors": facts.n_stored, "stored_bytes": facts.stored_bytes} if facts.n_stored else {}),
        **_transfer(facts.transfer),
        "left_out": [each.entry() for each in facts.left_out],
        "config": facts.config,
    }


def _human_plan(facts: "RunFacts") -> Iterator[RenderableType]:
    rows = [
        (name.replace("_", " "), value)
        for name, value in _plan(facts).items()
        if name not in {"config", "transfer", "left_out"}
    ]
    yield output.table("A run as configured", ("", ""), rows)
    if facts.transfer:
        yield facts.transfer.sentence()
    yield f"nothing was trained or written; the run would be {Path(facts.run_dir).name}"
