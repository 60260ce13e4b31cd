"""Measure by FFmpeg and SoX what `mrlspk data check` warns of, and print a table of both.

    .venv/bin/python scripts/confirm_warnings.py ../shared/speech/train ../shared/speech/more/speechcmd-en

FFmpeg's filter astats measures an offset and clipped samples, SoX the levels of bands below and above 4 kHz.
"""

import argparse
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from mrlspk.data.choices import Decode
from mrlspk.data.problems import Problem
from mrlspk.workflows.check_data import check_data

SPEECH, BEFORE, BEYOND = "300-3400", "3000-3750", "4750-5750"  # Hz


def main() -> None:
    """Print a row for each warning."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpora", nargs="+", type=Path)
    corpora = parser.parse_args().corpora
    print("| file | kind | `mrlspk data check` | FFmpeg, SoX |\n|---|---|---|---|")
    for corpus in corpora:
        report = check_data(corpus, decode=Decode.ALL)
        for problem in report.problems:
            found = CONFIRM.get(problem.kind, _count)(corpus / problem.where)
            print(f"| {corpus.name}/{problem.where} | {problem.kind} | {_figure(problem)} | {found} |")


def _figure(problem: Problem) -> str:
    return problem.message.partition(", got ")[2]


def _astats(path: Path, filters: str = "") -> dict[str, float]:
    command = [
        "ffmpeg",
        "-nostdin",
        "-i",
        str(path),
        "-af",
        f"{filters}astats=measure_perchannel=none",
        "-f",
        "null",
        "-",
    ]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stderr
    return {name: float(value) for name, value in re.findall(r"\] ([A-Za-z ]+?)(?: dB)?: (-?[\d.]+)", text)}


def _offset(path: Path) -> str:
    found, without = _astats(path), _astats(path, "highpass=f=20,")
    return f"offset {found['DC offset']:+.3f}, level above 20 Hz {without['RMS level']:.1f} dB"


def _flat(path: Path) -> str:
    found = _astats(path, "aformat=s16,")
    return f"peak {found['Peak level']:.1f} dB, {found['Peak count']:.0f} samples at it"


def _band(path: Path) -> str:
    speech, before, beyond = (_sox_level(path, band) for band in (SPEECH, BEFORE, BEYOND))
    return f"drop across 4 kHz {before - beyond:.0f} dB, {speech - beyond:.0f} dB below speech"


def _sox_level(path: Path, band: str) -> float:
    """Return the level of a band in dB as SoX measures it."""
    decoded = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-f", "wav", "-"], capture_output=True, check=True
    ).stdout
    command = ["sox", "--ignore-length", "-t", "wav", "-", "-n", "sinc", "-a", "140", band, "stats"]
    stats = subprocess.run(command, input=decoded, capture_output=True, check=True).stderr.decode()
    return float(re.findall(r"RMS lev dB +(-?[\d.]+)", stats)[0])


def _count(path: Path) -> str:
    return f"{sum(1 for each in path.rglob('*') if each.is_file())} file"


CONFIRM: dict[str, Callable[[Path], str]] = {"dc_offset": _offset, "clipped": _flat, "band_limited": _band}

if __name__ == "__main__":
    main()
