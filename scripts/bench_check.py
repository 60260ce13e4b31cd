"""Measure hours of audio that `mrlspk data check --decode all` checks in a minute of one core.

    .venv/bin/python scripts/bench_check.py ../shared/speech/train
    PYTHONPATH=/tmp/old/src .venv/bin/python scripts/bench_check.py ../shared/speech/train  # of another commit

The second form measures a commit whose `src` was put there with `git archive COMMIT src | tar -x -C /tmp/old`.
"""

import argparse
import time
from pathlib import Path

import av  # noqa: F401 - its import is no part of the run
import scipy.spatial  # noqa: F401

import mrlspk
from mrlspk.data.choices import Decode
from mrlspk.workflows.check_data import check_data


def main() -> None:
    """Print the time of one run in this process: a second one would profit from what the first has counted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    corpus = parser.parse_args().corpus
    begin = time.process_time()
    report = check_data(corpus, decode=Decode.ALL, jobs=1)
    taken = time.process_time() - begin
    hours = (report.seconds or 0) / 3600
    print(f"{Path(mrlspk.__file__).parents[1]}: {hours:.2f} h in {taken:.2f} s: {60 * hours / taken:.1f} h a minute")


if __name__ == "__main__":
    main()
