"""Write docs/screens.md: what the main commands show on a terminal of 80 columns, on real speech.

    .venv/bin/python scripts/write_screens.py --shared ../shared

Each command runs in a pseudo-terminal. Exits with 1 if a line is longer than the terminal, unless it is a command or
a path to copy, or if a word differs from those that a terminal of 200 columns shows: then it was cut or broken.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from tempfile import TemporaryDirectory

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "screens.md"
COLUMNS, WIDE = 80, 200
SPEAKERS = 79  # of the small corpus
MODEL, RUN = "redimnet-small-speech.pt", "checkpoints/first"
TRIALS = "--trials speech/trials-short.txt --audio-root speech/test-short"
LONG = "recordings-of-the-customer-service-in-two-thousand-and-twenty-six/inbound-calls/line-0001"
VISITOR = "speech/test-short/ls02033/164914/000011.wav"
SETTINGS = "data.train_dataset=my-speech", "logging.run_name=first"
TRAIN = " ".join((f"train --init-from {MODEL}", *(f"--set {setting}" for setting in SETTINGS)))
SCREENS = {  # heading: commands
    "Help": ("--help", "train --help"),
    "A corpus is checked": ("data check my-speech --decode all",),
    "A model is trained": (TRAIN,),
    "Trials are scored": (f"eval {RUN}/best.pt {TRIALS}",),
    "The candidates of the run are compared": (f"compare {RUN} {TRIALS}",),
    "Recordings with long paths": (f"embed {LONG}/a.wav {LONG}/b.wav --model {MODEL}",),
    "Voices are enrolled and identified": (
        f"index create voices --model {MODEL}",
        "index add voices --from-folder my-speech",
        "index add voices --from-folder speech/test",
        "index calibrate voices",
        f"index identify voices {VISITOR}",
        f"index search voices {VISITOR} -k 3 --explain",
        "index show voices ls00201",
        "index --help",
    ),
    "Published models": ("pretrained list",),
}
WHOLE = re.compile(r"(To [^:]+: )?mrlspk |\S*/\S*$")  # lines to copy
MARK = "<!-- not run here: scripts/write_screens.py runs it, on speech that is not in the repository -->"
CHANGING = re.compile(r"\d|^best$")  # words that differ from run to run

INTRODUCTION = """\
# Screens

What the commands show on a terminal of 80 columns, written by `scripts/write_screens.py` on real speech: 79 speakers of
LibriSpeech, about 14 seconds each, and a small model that was trained on them among others, so that its figures say
nothing about accuracy. Progress bars are gone when the work is done.
"""


def main() -> None:
    """Run the commands, check what they show, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MRLSPK_SHARED", "../shared")))
    shared = parser.parse_args().shared.resolve()
    pieces, problems = [INTRODUCTION], []
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:  # no run finds the other's files
        prepare(Path(folder), shared)
        prepare(Path(other), shared)
        for heading, commands in SCREENS.items():
            pieces.append(f"## {heading}\n")
            for command in commands:
                screen, wide = show(command, Path(folder), COLUMNS), show(command, Path(other), WIDE)
                problems += [f"{command}: {problem}" for problem in check(screen, wide)]
                pieces.append(f"{MARK}\n```text\n$ mrlspk {command}\n{screen}\n```\n")
    DOCUMENT.write_text("\n".join(pieces), encoding="utf-8")
    if problems:
        sys.exit("\n".join(problems))


def prepare(folder: Path, shared: Path) -> None:
    """Link speech and model into a folder of short names."""
    speech = shared / "speech"
    (folder / "speech").symlink_to(speech)
    (folder / MODEL).symlink_to(shared / "pretrained" / MODEL)
    (folder / "my-speech").mkdir()
    for speaker in sorted((speech / "train").glob("ls*"))[:SPEAKERS]:
        (folder / "my-speech" / speaker.name).symlink_to(speaker)
    (folder / LONG).mkdir(parents=True)
    first, second, *_ = sorted((speech / "test").rglob("*.wav"))
    (folder / LONG / "a.wav").symlink_to(first)
    (folder / LONG / "b.wav").symlink_to(second)


def show(command: str, folder: Path, columns: int) -> str:
    """Return what a command shows on a terminal so wide."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MRLSPK_", "COLUMNS", "LINES"))}
    environment = kept | {"TERM": "dumb", "MRLSPK_CACHE_DIR": str(folder / "cache")}
    words = [str(Path(sys.executable).with_name("mrlspk")), *command.split()]
    process = subprocess.Popen(words, cwd=folder, env=environment, stdin=end, stdout=end, stderr=end)
    os.close(end)
    text = b""
    while part := _read(terminal):
        text += part
    os.close(terminal)
    shown = text.decode().replace("\r\n", "\n")
    if process.wait():
        sys.exit(f"mrlspk {command}\n{shown}")
    return "\n".join(line.rstrip() for line in shown.strip("\n").split("\n"))


def _read(terminal: int) -> bytes:
    """Return what a terminal has to show; nothing once the command has ended."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def check(screen: str, wide: str) -> list[str]:
    """Return the lines that are too long, and the words that are not those of a wide terminal."""
    long = [line for line in screen.split("\n") if len(line) > COLUMNS and not WHOLE.match(line)]
    found, expected = _words(screen), _words(wide)
    return [*(f"too long: {line}" for line in long), *(f"not a word: {each}" for each in sorted(found - expected))]


def _words(text: str) -> set[str]:
    return {word for word in text.split() if not CHANGING.search(word)}


if __name__ == "__main__":
    main()
