"""Define the arguments and options that the commands of an index share."""

from pathlib import Path
from typing import Annotated

import typer

from mrlspk.cli.completion import complete_voice
from mrlspk.cli.options import WIDEST, channel_option
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.trial_options import check_rate

FEWEST_SECONDS, MOST_SECONDS = 0.0, 3600.0
LARGEST_MARGIN = 100.0
TEN_TIMES = 2.302585092994046  # nats

IndexFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the index.")]
VoiceName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a voice.", autocompletion=complete_voice)]
Where = Annotated[
    str | None,
    option(
        Panel.DATA,
        "--where",
        metavar="<filter>",
        help="Only voices whose metadata fit, such as 'site = \"north\"'; and, or, not, in, <, >= work too.",
    ),
]
SearchedDim = Annotated[
    int | None,
    option(
        Panel.SCORING,
        "--dim",
        min=1,
        max=WIDEST,
        metavar="<dim>",
        help="Compare prefixes of this width. Default: the width of the index.",
    ),
]
IndexModel = Annotated[
    str | None,
    option(
        Panel.MODEL,
        "--model",
        metavar="<model>",
        help="The model of the index, if it is not where it was at `index create`.",
    ),
]
LeastSpeech = Annotated[
    float,
    option(
        Panel.DATA,
        "--min-speech-seconds",
        min=FEWEST_SECONDS,
        max=MOST_SECONDS,
        metavar="<seconds>",
        help="Refuse recordings with less speech.",
    ),
]
VectorsInPlace = Annotated[
    Path | None,
    option(
        Panel.DATA,
        "--vectors",
        metavar="<file>",
        help="Vectors in place of recordings: .npz, .npy, .ark, .scp, .parquet or .jsonl.",
    ),
]
FalseAcceptRate = Annotated[
    float,
    option(
        Panel.SCORING,
        "--false-accept-rate",
        callback=check_rate,
        metavar="<rate>",
        help="Share of strangers that a search over all voices may accept.",
    ),
]
VoiceFalseAcceptRate = Annotated[
    float,
    option(
        Panel.SCORING,
        "--false-accept-rate",
        callback=check_rate,
        metavar="<rate>",
        help="Share of other speakers that may be accepted as this one voice.",
    ),
]
QueryChannel = Annotated[
    str | None,
    channel_option(text="Channel of each query: left, right, a number from 0, or mix. Default: that of the index."),
]
Margin = Annotated[
    float,
    option(
        Panel.SCORING,
        "--margin",
        min=0.0,
        max=LARGEST_MARGIN,
        metavar="<nats>",
        help="Log-likelihood ratio by which the best voice leads the next. Default: 2.3, ten times as likely.",
    ),
]
