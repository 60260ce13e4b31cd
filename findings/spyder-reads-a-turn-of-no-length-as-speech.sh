#!/usr/bin/env bash
# Expect: a turn of no length, as RTTM files have it where a writer rounds its times, adds no speech: the diarisation
#   error is that of the answer without it.
# Happens: in spy-der such a turn never ends. An answer of one empty turn at 0 s has an error of 0 %, at 3 s of a
#   recording of 10 s one of 30 %, as if everything behind it were found. Beside other turns it moves misses to
#   confusion. simpleder gives the error of the answer without the turn.
# Meets: whoever scores a segmenter that leaves empty turns: the less it finds, the better it looks.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -qq spy-der==0.4.1 simpleder==0.0.8 scipy==1.16.2 numpy==2.3.3
env/bin/python -W ignore - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import simpleder
import spyder

print(*(f"{name} {version(name)}" for name in ("spy-der", "simpleder")), sep=" | ")
changes = []
TRUTH = [("A", 0.0, 10.0)]
# Turns of the answer; the error of spy-der and of simpleder.
CASES = [
    ([("a", 0.0, 5.0)], 0.5, 0.5),
    ([("a", 0.0, 0.0)], 0.0, 1.0),
    ([("a", 3.0, 3.0)], 0.3, 1.0),
    ([("a", 0.0, 5.0), ("b", 7.0, 7.0)], 0.5, 0.5),
]


def expect(holds, what):
    if not holds:
        changes.append(what)


print("truth: one speaker, 0 to 10 s")
for turns, expected, other in CASES:
    found, peer = spyder.DER(TRUTH, turns), simpleder.DER(TRUTH, turns)
    parts = f"miss {found.miss:.0%}, false alarm {found.falarm:.0%}, confusion {found.conf:.0%}"
    print(f"{turns}: spy-der {found.der:.0%} ({parts}), simpleder {peer:.0%}")
    expect(abs(found.der - expected) < 1e-6, f"{turns} has an error of {expected:.0%} in spy-der")
    expect(abs(peer - other) < 1e-6, f"{turns} has an error of {other:.0%} in simpleder")
expect(abs(found.conf - 0.3) < 1e-6, "an empty turn of a second speaker at 7 s makes 30 % of confusion")

line = "SPEAKER call 1 {} {} <NA> <NA> {} <NA> <NA>\n"
Path("truth.rttm").write_text(line.format("0.000", "10.000", "A"))
Path("answer.rttm").write_text(line.format("3.000", "0.000", "a"))
command = [str(Path(sys.executable).with_name("spyder")), "truth.rttm", "answer.rttm"]
shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
print(shown)
expect("30.00%" in shown, "the command line gives 30 % for RTTM files, too")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
