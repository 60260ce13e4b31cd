"""The script that measures the throughput on a GPU runs on a CPU too."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from factories import TINY_RUN

SCRIPT = Path(__file__).parents[3] / "scripts" / "bench_throughput.py"


def test_throughput_table_has_a_row_for_each_case(tmp_path, monkeypatch, capsys):
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump({"model": TINY_RUN["model"]}))
    description = importlib.util.spec_from_file_location("bench_throughput", SCRIPT)
    script = importlib.util.module_from_spec(description)
    description.loader.exec_module(script)
    typed = f"x --config {config} --device cpu --seconds 0.5 --batch-sizes 1 2 --variants default bf16 --rounds 1"
    monkeypatch.setattr("sys.argv", typed.split())
    script.main()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in capsys.readouterr().out.splitlines()[3:]]
    assert [row[:3] for row in rows[1:]] == [
        ["0.5", batch, name] for batch in ("1", "2") for name in ("eager fp32", "default", "bf16")
    ]
    for _, _, name, rate, speed, ratio in rows[1:]:
        assert float(speed.replace(",", "")) == pytest.approx(0.5 * float(rate.replace(",", "")), abs=1)
        assert re.fullmatch(r"\d+\.\d\dx", ratio)
        assert name != "eager fp32" or ratio == "1.00x"
