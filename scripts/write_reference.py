"""Write the documents that say what the code says.

docs/configuration.md comes from the configuration's models, docs/commands.md from the commands' own help, the
tables of docs/pretrained-models.md from the registry, those of keys in docs/migration.md from what ``mrlspk config
migrate`` goes by, and the table of problems in docs/data.md from their kinds.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.cli.pretrained_list import DESCRIBED, describe
from mrlspk.config.migration_table import old_keys
from mrlspk.config.reference import render_reference
from mrlspk.data.checks.kinds import KINDS
from mrlspk.pretrained import list_models

DOCS = Path(__file__).resolve().parent.parent / "docs"

BEGIN, END = "<!-- from the registry -->\n", "<!-- end -->"
BEGIN_KINDS = "<!-- from kinds.py -->\n"
BEGIN_KEYS = "<!-- from migration.yaml -->\n"

INTRODUCTION = """\
# Commands

Generated from `--help` by `scripts/write_reference.py`; a test keeps it true.

`-h` is short for `--help`. `mrlspk --install-completion` lets bash, zsh and fish complete commands, options, names of
models and voices, and the keys of `--set`.

Data goes to stdout; progress, warnings and errors go to stderr. With `--json` a command prints one JSON document.

Exit codes: 0 done; 1 failed; 2 usage; 3 the data is at fault; 4 something outside is missing (network, an optional
package); 130 and 143 interrupted; 141 the reader of stdout closed its pipe. If stdout is full or closed, the
exit code is 1; files that a command writes are written first.
"""


def render_commands() -> str:
    """Return docs/commands.md: the help of every command, 80 columns wide."""
    pieces = [INTRODUCTION]
    for words in command_paths(typer.main.get_command(app)):
        help_text = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
        lines = "\n".join(line.rstrip() for line in help_text.strip().splitlines())
        pieces.append(f"## `{' '.join(('mrlspk', *words))}`\n\n```text\n{lines}\n```\n")
    return "\n".join(pieces)


def command_paths(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to each command, a group before what it holds."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from command_paths(child, (*words, name))


def render_models(text: str) -> str:
    """Return the text of docs/pretrained-models.md with the tables of the registry between its markers."""
    models = list_models()
    sources: dict[tuple[str, str, str], str] = {}
    for model in models:
        stated = model.family, model.training_set, model.source
        sources[stated] = model.eer_source or sources.get(stated, "–")
    rows = [(*stated, eer_source) for stated, eer_source in sources.items()]
    tables = (
        markdown_table(DESCRIBED, (describe(model) for model in models)),
        markdown_table(("family", "trained on", "files named in", "EER stated in"), rows),
    )
    return _between(text, BEGIN, "\n".join(("", *tables, "")))


def render_data(text: str) -> str:
    """Return the text of docs/data.md with the table of problems between its markers."""
    rows = [
        (f"`{each.name}`", each.severity, each.meaning, each.fix, each.threshold or "–", each.source or "–")
        for each in KINDS.values()
    ]
    header = "kind", "severity", "meaning", "what to do", "threshold", "source of the threshold"
    return _between(text, BEGIN_KINDS, f"\n{markdown_table(header, rows)}\n")


def render_migration(text: str) -> str:
    """Return the text of docs/migration.md with the tables of old keys between its markers."""
    sections = dict.fromkeys(key.rpartition(".")[0] for key in old_keys())
    return _between(text, BEGIN_KEYS, "".join(map(_render_section, sections)) + "\n")


def _render_section(section: str) -> str:
    """Return the table of a section of redimnet-mrl's file."""
    rows = [
        (f"`{key}`", f"`{row.new}`" if row.new else "none", row.remark)
        for key, row in old_keys().items()
        if key.rpartition(".")[0] == section
    ]
    heading = f"`{section}`" if section else "Top level"
    return f"\n### {heading}\n\n{markdown_table(('old key', 'new key', 'remark'), rows)}"


def _between(text: str, begin: str, tables: str) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    return before + begin + tables + END + after


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Write the files."""
    renderers = {"pretrained-models.md": render_models, "migration.md": render_migration, "data.md": render_data}
    for name, render in renderers.items():
        file = DOCS / name
        file.write_text(render(file.read_text(encoding="utf-8")), encoding="utf-8")
    (DOCS / "configuration.md").write_text(render_reference(), encoding="utf-8")
    (DOCS / "commands.md").write_text(render_commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
