import sys
from pathlib import Path
from runpy import run_path

import numpy as np

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_transform.py"


def test_table_has_each_form_inside_and_outside(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(12, 20)) * np.linspace(2, 0.3, 20)
    for name in ("train", "test"):
        ids = [f"{name}{speaker}/{index}" for speaker in range(12) for index in range(5)]
        vectors = np.repeat(voices, 5, axis=0) + rng.normal(size=(60, 20))
        np.savez(tmp_path / f"{name}.npz", ids=np.array(ids), embeddings=vectors.astype(np.float32))
    pairs = [(a, b) for a in range(60) for b in range(a)]
    lines = [f"{int(a // 5 == b // 5)} test{a // 5}/{a % 5} test{b // 5}/{b % 5}" for a, b in pairs]
    (tmp_path / "trials.txt").write_text("\n".join(lines) + "\n")
    listed = [str(tmp_path / "trials.txt"), str(tmp_path / "test.npz")]
    arguments = ["--train", str(tmp_path / "train.npz"), "--inside", *listed, "--outside", *listed, "--flatten", "0.2"]
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    run_path(str(SCRIPT), run_name="__main__")
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert table[0] == ["form", "16 in / out", "20 in / out", "all"]
    rows = {row[0]: row[1:] for row in table[2:]}
    assert len(rows) == 8
    assert rows["rotation `svd`"][1:] == ["1.00 / 1.00", rows["rotation `svd`"][0][:4] + " / 1.00"]  # keeps cosines
    for first, last, everywhere in rows.values():
        both = zip(*(cell.split(" / ") for cell in (first, last)), strict=True)
        assert len({*both, tuple(everywhere.split(" / "))}) == 1  # one list stands for both places
