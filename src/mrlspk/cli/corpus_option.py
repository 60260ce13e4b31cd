"""Define the options of commands that read a corpus: its recipe, what is left out, and the processes."""

from pathlib import Path
from typing import Annotated

from mrlspk.cli.panels import Panel, option
from mrlspk.data.choices import CORPUS_NAMES

CorpusChoice = Annotated[
    str,
    option(
        Panel.DATA,
        "--corpus",
        metavar="<auto|name|pattern>",
        help="Layout of the corpus: auto recognises it. Else a pattern of paths such as "
        f"'{{speaker}}/{{session}}/{{utterance}}.wav', or a name: {', '.join(CORPUS_NAMES)}.",
    ),
]

ExcludeFiles = Annotated[
    list[Path] | None,
    option(
        Panel.DATA,
        "--exclude",
        metavar="<file>",
        exists=True,
        help="Utterances to leave out, as `data check --write-excludes` writes them; repeatable.",
    ),
]

Jobs = Annotated[
    int | None,
    option(
        Panel.MACHINE,
        "--jobs",
        min=1,
        max=1024,
        metavar="<n>",
        help="Processes. Default: one per processor, up to eight.",
        show_default=False,
    ),
]
