"""The configuration of a run that an earlier version began."""

from types import SimpleNamespace

from factories import tiny_config
from mrlspk.training.checkpoints.resumed_config import resumed_config


def resumed(head, tmp_path):
    """Resume a run whose checkpoint says this of its head."""
    entry = tiny_config("corpus").model_dump(mode="json")
    point = SimpleNamespace(path=tmp_path / "last.pt", entries={"config": entry | {"head": head}})
    return resumed_config(point, tiny_config("corpus"), named_keys=()).head


def test_run_from_before_centring_keeps_its_start_by_energy(tmp_path):
    head = resumed({"flatten": 0.2, "trained": "linear"}, tmp_path)
    assert (head.centre, head.flatten, head.order) == (False, 0.2, "energy")


def test_run_of_this_version_keeps_its_own_start(tmp_path):
    head = resumed({"flatten": 0.1, "centre": True, "order": "scatter"}, tmp_path)
    assert (head.centre, head.flatten, head.order) == (True, 0.1, "scatter")
