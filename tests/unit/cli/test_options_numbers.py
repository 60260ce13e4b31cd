"""Numbers given as flags: what no command can mean is a usage error, before any file is read."""

import pytest
from typer.testing import CliRunner

from mrlspk.cli.app import app

HUGE = "1" + "0" * 23
WHOLE = "nan", "inf", "-1", HUGE, "9" * 5000, "1e3", ""
NUMBERS = "nan", "inf", "-1", HUGE, "1e400", ""
COUNTS = {
    "--batch-size": "embed a.wav",
    "--dim": "embed a.wav",
    "--debug-batches": "train",
    "--top-n": "eval model.pt",
    "--resamples": "eval model.pt",
    "--jobs": "data check corpus",
    "--n-trials": "data trials corpus -o list.txt",
    "--speakers": "data demo folder",
    "--test-speakers": "data demo folder",
    "--utterances": "data demo folder",
    "--seed": "data demo folder",
    "--max-speakers": "rotate model.pt --speech corpus -o out.pt",
    "--utterances-per-speaker": "rotate model.pt --speech corpus -o out.pt",
    "--target-batch": "gpu-profile",
    "--dims": "eval model.pt",
    "--vram-limit": "gpu-profile",
}
RATES = {
    "--p-target": "verify a.wav b.wav",
    "--far": "eval model.pt",
    "--target-eer": "eval model.pt",
}
SECONDS = {
    "--crop-seconds": "rotate model.pt --speech corpus -o out.pt",
    "--durations": "eval model.pt --trials t",
}


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *((flag, value) for flag in COUNTS for value in WHOLE),
        *((flag, value) for flag in RATES for value in (*NUMBERS, "2")),
        *((flag, value) for flag in SECONDS for value in NUMBERS),
    ],
)
def test_a_number_that_no_command_can_mean_is_a_usage_error(tmp_path, monkeypatch, flag, value):
    monkeypatch.chdir(tmp_path)
    command = (COUNTS | RATES | SECONDS)[flag]
    result = CliRunner().invoke(app, [*command.split(), f"{flag}={value}"])
    assert result.exit_code == 2, result.output[:300]
    assert flag in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr) < 12_000
    assert not list(tmp_path.iterdir())
