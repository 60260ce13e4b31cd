"""Define the option of the recipe that reads a corpus."""

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
