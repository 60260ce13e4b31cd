"""The script that compares predictions with a GPU, on a made-up one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_gpu import FakeGpu, FakeProbe
from mrlspk.training.memory.peak_model import Line

ROOT = Path(__file__).parents[3]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import check_gpu_profile

    monkeypatch.setattr(check_gpu_profile, "configure", lambda *_case: None)
    return check_gpu_profile


@pytest.fixture
def measured(script, monkeypatch):
    """Run the comparison on a GPU whose passes take 100 MiB a crop, where the CPU says so much."""

    def run(predicted_per_crop, *, seen=100, sizes=(8,)):
        gpu = FakeGpu(80_000, context=500).install(monkeypatch)
        model = Line(0.0, predicted_per_crop)
        monkeypatch.setattr(script, "build", lambda _config, _device: FakeProbe(gpu, per_crop=seen))
        monkeypatch.setattr(script, "predict_memory", lambda _probe: (model, []))
        return script.measure([("b2", "everything", "bf16")], list(sizes), minutes=1)

    return run


def test_prediction_a_little_above_the_measurement_passes(measured, capsys):
    assert measured(110, sizes=(8, 12))
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if "everything" in line]
    # 0.9 * (8,192 - 512) = 6,912 MiB: 62 crops of 110, 56 in a round batch; 64 of 100
    assert [cell.strip() for cell in rows[0]] == [
        "b2", "everything", "bf16", "8 GiB", "56", "6,160", "5,600", "+10.0%", "64", "6,400", "100",
    ]  # fmt: skip
    assert len(rows) == 2


@pytest.mark.parametrize("predicted", [95, 130])
def test_prediction_below_or_far_above_the_measurement_fails(measured, predicted):
    assert not measured(predicted)


def test_chosen_batch_that_runs_out_of_memory_fails(measured, capsys):
    assert not measured(60)
    assert "out of memory" in capsys.readouterr().out


def test_cases_left_when_time_is_up_are_reported_and_fail(script, measured, capsys, monkeypatch):
    monkeypatch.setattr(script, "time", SimpleNamespace(monotonic=iter((0.0, 61.0)).__next__))
    assert not measured(100)
    assert "time is up before b2, everything, bf16" in capsys.readouterr().out
