#!/usr/bin/env bash
# Expect: pyannote.database's load_rttm keeps the speakers of an RTTM file apart, whatever they are called: the format's
#   own mark for an absent field is <NA>, and a name is a string without blanks.
# Happens: NA, None, null, nan and n/a become one speaker, a float that is not a number. A recording called NA is left
#   out without a word, from RTTM and UEM files. "na" and "Nan" are kept. meeteval reads all names as they are.
# Meets: whoever scores diarisation of people marked by initials, or of tools that write None for an unknown speaker: a
#   perfect answer gets a diarisation error of 40 % here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -qq pyannote.database==6.1.1 pyannote.core==6.1.0 pyannote.metrics==4.1.0 meeteval==0.4.3
env/bin/python -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version
from pathlib import Path

import meeteval
from pyannote.core import Annotation, Segment
from pyannote.database.util import load_rttm, load_uem
from pyannote.metrics.diarization import DiarizationErrorRate

print(*(f"{name} {version(name)}" for name in ("pyannote.database", "pyannote.metrics", "meeteval")), sep=" | ")
changes = []
NAMES = "NA", "None", "null", "BK", "na"


def expect(holds, what):
    if not holds:
        changes.append(what)


def lines(recording):
    return "".join(
        f"SPEAKER {recording} 1 {3 * turn}.0 2.5 <NA> <NA> {name} <NA> <NA>\n" for turn, name in enumerate(NAMES)
    )


Path("meetings.rttm").write_text(lines("monday") + lines("NA"))
Path("meetings.uem").write_text("monday 1 0.0 15.0\nNA 1 0.0 15.0\n")
read = load_rttm("meetings.rttm")
labels = read["monday"].labels()
print("written:", *NAMES, "| read:", *labels)
expect(len(labels) == 3 and sum(isinstance(each, float) for each in labels) == 1, "three of five speakers become one")
print("recordings written: monday NA | RTTM read:", *read, "| UEM read:", *load_uem("meetings.uem"))
expect(list(read) == ["monday"], "the recording NA is absent from the RTTM file")
expect(list(load_uem("meetings.uem")) == ["monday"], "the recording NA is absent from the UEM file")

others = meeteval.io.RTTM.load("meetings.rttm").lines
expect({each.speaker_id for each in others} == set(NAMES) and len(others) == 10, "meeteval reads all as they are")

answer, truth = Annotation(uri="monday"), Annotation(uri="monday")
for turn, name in enumerate(NAMES):
    answer[Segment(3 * turn, 3 * turn + 2.5)], truth[Segment(3 * turn, 3 * turn + 2.5)] = f"voice {turn}", name
made, loaded = DiarizationErrorRate()(truth, answer), DiarizationErrorRate()(read["monday"], answer)
print(f"error of a perfect answer: {made:.0%} against the truth made in Python, {loaded:.0%} against the truth read")
expect((made, round(loaded, 6)) == (0, 0.4), "a perfect answer has an error of 40 %")

for change in changes:
    print("CHANGED:", change)
sys.exit(bool(changes))
PYTHON
