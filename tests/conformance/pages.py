"""Read the pages of the documentation: their blocks, the commands in them, and the reasons not to run some."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(rf"(?:^<!-- not run here: (?P<reason>[^\n]+) -->\n+)?{FENCE.pattern}", FENCE.flags)
SHELL = {"sh", "bash", "console"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line that it starts at, and why it is not run, if it is not."""

    kind: str
    body: str
    line: int
    reason: str | None

    def commands(self) -> list[tuple[str, str]]:
        """Return each command with the output shown below it; continued lines are joined.

        In a block of a shell every line that does not begin with ``#`` is a command; in other blocks those that begin
        with ``$`` or ``mrlspk`` are, and the rest is output.
        """
        found: list[tuple[str, str]] = []
        for line in re.sub(r" *\\\n *", " ", self.body).splitlines():
            is_command = line.startswith(("$ ", "mrlspk ")) or (self.kind in SHELL and line and line[0] != "#")
            if self.kind not in SHELL | {"text", ""}:
                continue
            if is_command:
                found.append((line.removeprefix("$ "), ""))
            elif found:
                found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
        return found

    @property
    def runs(self) -> bool:
        """Whether something in it can be run: commands or Python."""
        return self.kind == "python" or bool(self.commands())


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(match[2], match[3], text.count("\n", 0, match.start(2)) + 1, match["reason"])
        for match in BLOCK.finditer(text)
    ]
