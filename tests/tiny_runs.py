"""Runs of a tiny network on a tiny corpus, prepared without the command line."""

from lightning_fabric import Fabric

from mrlspk.distributed import ALONE
from mrlspk.training.network.network_run import begin_network_run
from mrlspk.training.plan import RunPlan, read_data
from mrlspk.training.prepare import prepare
from mrlspk.training.validation import build_validation_trials


def plan_of(config, folder, name="run", *, resume_path=None, **options):
    return RunPlan(
        config, read_data(config), folder / name, cache_dir=folder / "cache", resume_path=resume_path, **options
    )


def prepared(config, folder, name="run", **options):
    """Return the state of a run in a folder, before its first step or resumed."""
    return prepare(plan_of(config, folder, name, **options), Fabric(accelerator="cpu", devices=1), ALONE)


def network_run(state):
    """Return the run of a state that starts from random weights, whose folder is there."""
    state.plan.run_dir.mkdir(parents=True, exist_ok=True)
    return begin_network_run(state, None, build_validation_trials(state.config, state.plan.data))
