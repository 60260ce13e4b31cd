#!/usr/bin/env python3
"""Walk a newcomer's path with a stop-watch: clone, quick start, own folder checked, model made, evaluated, verified.

The clone is fresh and sets itself up. Each command is taken out of the output of the one before it; if it is not there,
the script fails. The own folder is a subset of real speech. The table on stdout has the seconds and exit code of each
step; the outputs are in FOLDER/step-NN.txt.

It needs nothing but Python and git, and the packages that `scripts/setup.sh` installs. Without a network,
`--stand-in FILE` takes the place of the published model that the commands name.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("MRLSPK_SHARED", ROOT.parent / "shared"))
PUBLISHED = "redimnet-b2-vox2-ft_lm"
OWN = "YOUR-SPEECH"  # as the quick start calls the folder of the user
AUDIO = {".wav", ".flac", ".m4a", ".ogg", ".opus", ".mp3"}


@dataclass
class Walk:
    """The steps so far: what was typed, the seconds and the exit code."""

    folder: Path
    clone: Path
    environment: dict[str, str]
    own: Path
    rows: list[tuple[str, str, float, int]] = field(default_factory=list)
    exports: str = ""

    def type(self, step: str, command: str, *, cwd: Path | None = None) -> str:
        """Run a command as typed in the clone; return its stdout, or stop at a failure."""
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", f"{self.exports}\n{command}"],
            cwd=cwd or self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.rows.append((step, command, time.monotonic() - started, done.returncode))
        log = self.folder / f"step-{len(self.rows):02}.txt"
        log.write_text(f"$ {command}\n{done.stdout}\n--- stderr\n{done.stderr}", encoding="utf-8")
        print(f"{step}: {self.rows[-1][2]:.0f} s", file=sys.stderr, flush=True)
        if done.returncode:
            raise SystemExit(f"{table(self.rows)}\n{step} failed:\n{done.stderr}")
        return done.stdout

    def next(self, output: str, label: str) -> str:
        """Return the command that an output says to type next, behind a label or on a line of its own."""
        found = re.search(rf"^ *{label}(.+)$", output, re.MULTILINE)
        if found is None:
            raise SystemExit(f"{table(self.rows)}\nthe last output has no line {label!r}:\n{output}")
        return found[1].replace(OWN, str(self.own))


def copy_speakers(speech: Path, n_speakers: int, own: Path) -> None:
    """Copy the first speakers with two recordings or more."""
    taken = 0
    for speaker in sorted(path for path in speech.iterdir() if path.is_dir()):
        if sum(path.suffix in AUDIO for path in speaker.rglob("*")) >= 2:
            shutil.copytree(speaker, own / speaker.name)
            taken += 1
        if taken == n_speakers:
            return
    raise SystemExit(f"{speech}: {taken} speakers with two recordings, expected {n_speakers}")


def put_in_place(walk: Walk, stand_in: Path) -> None:
    """Fetch a file under the name of the published model, as from a mirror."""
    mirror = walk.folder / "mirror"
    mirror.mkdir()
    shutil.copy(stand_in, mirror / f"{PUBLISHED}.pt")
    sha256 = hashlib.sha256(stand_in.read_bytes()).hexdigest()
    walk.environment["MRLSPK_MIRROR"] = str(mirror)
    walk.type("(stand-in for the download)", f"mrlspk pretrained fetch {PUBLISHED} --sha256 {sha256}")


def walk_all(walk: Walk, repository: str, stand_in: Path | None) -> None:
    """Take every step."""
    walk.type("clone", f"git clone --quiet {repository} {walk.clone}", cwd=walk.folder)
    begun = walk.type("quick start", "scripts/quick_start.sh")
    walk.exports = f"export PATH={walk.next(begun, 'export PATH=')}"
    if stand_in:
        put_in_place(walk, stand_in)
    checked = walk.type("own folder checked", f"mrlspk data check {walk.next(begun, 'mrlspk data check ')}")
    for step, label in (("rotated", "To make a model without training: "), ("trained", "To train a head: ")):
        made = walk.type(step, walk.next(checked, label))
        scored = walk.type(f"{step}, evaluated", walk.next(made, "To evaluate: "))
        page = walk.type(f"{step}, with a report", walk.next(scored, "For a page to read and send: "))
        walk.type(f"{step}, two recordings verified", walk.next(page, "To score the worst error by itself: "))


def table(rows: list[tuple[str, str, float, int]]) -> str:
    """Return the steps as a Markdown table."""
    lines = ["| step | seconds | exit |", "|---|---|---|"]
    lines += [f"| {step} | {seconds:.0f} | {code} |" for step, _, seconds, code in rows]
    return "\n".join([*lines, f"| in all | {sum(row[2] for row in rows):.0f} | |"])


def main() -> None:
    """Walk the path; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", default=str(ROOT), help="what is cloned; default: this one, as committed")
    parser.add_argument("--speech", type=Path, default=SHARED / "speech" / "train", help="corpus the folder is part of")
    parser.add_argument("--speakers", type=int, default=60, help="of the own folder")
    parser.add_argument("--stand-in", type=Path, help="model file in place of the published one")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder, which is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        settings = {key: value for key, value in os.environ.items() if not key.startswith(("MRLSPK_", "VIRTUAL_ENV"))}
        settings["MRLSPK_CACHE_DIR"] = str(folder / "cache")
        walk = Walk(folder, folder / "mrlspk", settings, folder / "own")
        copy_speakers(arguments.speech, arguments.speakers, walk.own)
        walk_all(walk, arguments.repository, arguments.stand_in)
        print(table(walk.rows))


if __name__ == "__main__":
    main()
