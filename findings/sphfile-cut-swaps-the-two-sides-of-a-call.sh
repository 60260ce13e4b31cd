#!/usr/bin/env bash
# Expect: SPHFile.time_range(start, stop) of a two-channel call (NIST SPHERE, as telephone corpora come) cuts both
#   sides at that time; every second value of the cut is the caller's, as in the whole file.
# Happens: it truncates seconds x rate x 2, which is odd for half of all times that are not whole samples, and, by
#   rounding, for some that are: 2.01 s. The cut then begins with the other side: the two speakers have changed
#   places. Length and level are right. Whole samples, start x rate rounded and then x 2, never swap.
# Meets: whoever cuts a call by the times of a segment list and takes one side for enrolment or as a trial.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -qq numpy==2.2.6 sphfile==1.0.3 soundfile==0.14.0
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import soundfile
from sphfile import SPHFile

RATE, SECONDS = 8_000, 60
print("sphfile", version("sphfile"), "| soundfile", soundfile.__version__)
changes = []
rng = np.random.default_rng(0)
call = np.stack([rng.integers(1, 3_000, SECONDS * RATE), -rng.integers(1, 3_000, SECONDS * RATE)], axis=1)
soundfile.write("call.sph", call.astype(np.int16), RATE, format="NIST", subtype="PCM_16")
read, _ = soundfile.read("call.sph", dtype="int16")
file = SPHFile("call.sph")
if not (np.array_equal(read, call) and np.array_equal(file.content.reshape(-1, 2), call)):
    sys.exit("CHANGED: the whole call is no longer read alike by both")
print("the whole call: both libraries read the same; side A is positive, side B negative")


def sides(start, stop):
    """Return the sides that the two columns of a cut hold."""
    cut = file.time_range(start, stop)
    columns = cut[: len(cut) // 2 * 2].reshape(-1, 2)
    return "".join("A" if np.all(column > 0) else "B" if np.all(column < 0) else "?" for column in columns.T)


for start, expected in ((2.0, "AB"), (2.01, "BA"), (4.02, "BA"), (8.03, "BA"), (12.3457, "BA")):
    print(f"time_range({start}, {start + 2}) holds", sides(start, start + 2))
    if sides(start, start + 2) != expected:
        changes.append(f"sides from {start} s")

for name, starts, least, most in (
    ("1/100 s", [each / 100 for each in range(5_500)], 10, 200),
    ("any time", list(rng.uniform(0, 55, 2_000)), 900, 1_100),
):
    swapped = sum(sides(start, start + 0.1) == "BA" for start in starts)
    print(f"{name}: {swapped} of {len(starts)} cuts swapped")
    if not least <= swapped <= most:
        changes.append(f"{name}: {swapped} swapped")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
