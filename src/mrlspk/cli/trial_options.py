"""Define the options and tables that commands on trials share."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mrlspk.cli.options import MOST, Speech, resolve_model, speech_option
from mrlspk.cli.panels import Panel, option
from mrlspk.cli.usage_errors import nearest
from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.reading import reading

LONGEST_SECONDS = 86_400
TRANSFORM = ".npz"  # suffix of a transform
FEWEST_RESAMPLES = 100  # as in the configuration, which --help does not load

if TYPE_CHECKING:
    from mrlspk.config import Config
    from mrlspk.evaluation.evaluation_report import ListReport
    from mrlspk.evaluation.list_comparison import ComparedTrials
    from mrlspk.evaluation.trial_list import TrialRequest
    from mrlspk.inference.model_file import ModelFile


def _check_rates(values: list[float] | None) -> list[float] | None:
    """Return the values without repeats if all lie between 0 and 1."""
    for value in values or ():
        check_rate(value)
    return list(dict.fromkeys(values)) if values else None


def check_rate(value: float | None) -> float | None:
    """Return ``value`` if it lies between 0 and 1, or None."""
    if value is not None and not 0 < value < 1:
        raise typer.BadParameter(f"expected a share between 0 and 1, got {value}")
    return value


def _check_resamples(value: int | None) -> int | None:
    if value is not None and value != 0 and not FEWEST_RESAMPLES <= value <= MOST:
        raise typer.BadParameter(f"expected {FEWEST_RESAMPLES} to {MOST:,}, or 0 for none, got {shorten(str(value))}")
    return value


class ScoreNorm(StrEnum):
    """How scores are normalised."""

    NONE = "none"
    S = "s"
    AS = "as"


TrialFiles = Annotated[
    list[Path] | None,
    option(
        Panel.DATA,
        "--trials",
        metavar="<file>",
        help="Trial list; repeatable. Default: the configuration's, or the checkpoint's.",
    ),
]
AudioRoots = Annotated[
    list[Path] | None,
    option(
        Panel.DATA,
        "--audio-root",
        metavar="<path>",
        help="Folder of a list's paths, or a wav.scp file: one for all, or one each. Default: the folder of the list.",
    ),
]
Enrolments = Annotated[
    list[Path] | None,
    option(
        Panel.DATA,
        "--enroll",
        metavar="<file>",
        help="Enrolment models: a name and its utterances on each line; one for all lists, or one each.",
    ),
]
AllowMissing = Annotated[
    bool, option(Panel.DATA, "--allow-missing", help="Leave out trials without audio and count them.")
]
Dims = Annotated[
    str | None,
    option(Panel.MODEL, "--dims", metavar="<dims>", help="Prefix widths to score, e.g. 64,128. Default: all trained."),
]
AllowUntrainedDim = Annotated[
    bool, option(Panel.MODEL, "--allow-untrained-dim", help="Allow widths that the model was not trained for.")
]
PTargets = Annotated[
    list[float] | None,
    option(
        Panel.SCORING,
        "--p-target",
        callback=_check_rates,
        metavar="<prior>",
        help="Prior of the detection cost; repeatable. Default: 0.01 and 0.05.",
    ),
]
FalseAcceptRates = Annotated[
    list[float] | None,
    option(
        Panel.SCORING,
        "--far",
        callback=_check_rates,
        metavar="<rate>",
        help="False-accept rate to give a threshold for; repeatable. Default: 0.01 and 0.001.",
    ),
]
ScoreNormChoice = Annotated[
    ScoreNorm | None,
    option(Panel.SCORING, "--score-norm", help="Score normalisation: none, S-Norm or AS-Norm. Default: none."),
]
CohortPath = Annotated[
    Path | None,
    option(
        Panel.SCORING,
        "--cohort",
        metavar="<path>",
        help="Cohort: a folder of speakers or an .npz of `mrlspk embed`; with --vectors, a vector file.",
    ),
]
TopN = Annotated[
    int | None,
    option(
        Panel.SCORING, min=2, max=MOST, metavar="<n>", help="Number of highest cohort scores for AS-Norm. Default: 300."
    ),
]
Resamples = Annotated[
    int | None,
    option(
        Panel.SCORING,
        callback=_check_resamples,
        metavar="<n>",
        help="Resamples of speakers for intervals: 100 or more, or 0 for none. Default: 1000.",
    ),
]
CalibrationChoice = Annotated[
    str | None,
    option(
        Panel.SCORING,
        "--calibration",
        metavar="<file>",
        help="Calibration file, or none. Default: the one beside the checkpoint.",
    ),
]
EvaluatedSpeech = Annotated[Speech | None, speech_option("all")]
NoCache = Annotated[bool, option(Panel.MACHINE, "--no-cache", help="Embed everything again and cache nothing.")]
ReportFolder = Annotated[
    Path | None,
    option(Panel.OUTPUT, "--report", metavar="<folder>", help="Write an HTML page and its data into this folder."),
]


VectorsFile = Annotated[
    Path | None,
    option(
        Panel.DATA,
        "--vectors",
        metavar="<file>",
        help="Score these vectors in place of audio: .npz, .npy, .ark, .scp, .parquet, .jsonl.",
    ),
]
VectorsFiles = Annotated[
    list[Path] | None,
    option(
        Panel.DATA,
        "--vectors",
        metavar="<file>",
        help="Vectors to score in place of audio: .npz, .npy, .ark, .scp, .parquet, .jsonl; repeatable.",
    ),
]
VectorSpeakers = Annotated[
    Path | None,
    option(
        Panel.DATA,
        "--speakers",
        metavar="<file>",
        help="Speakers of --vectors: utt2spk, or a table (id, speaker). Default: as the trial list shows.",
    ),
]


def find_model(model: str | None, vectors: Path | None, *, quiet: bool, trust_code: bool = False) -> "ModelFile":
    """Return the file of ``--vectors`` with the transform or head to apply, or else the model of `resolve_model`.

    Raises:
        UsageError: If the vectors are also the model.
        CheckpointError: If there is no such model.
    """
    if vectors is None:
        return resolve_model(model, quiet=quiet, trust_code=trust_code, given_as="MODEL")
    if model is not None and Path(model) == vectors:
        fix = "Leave MODEL out to score the vectors as they are, or give a transform or a head."
        raise UsageError(f"{model} cannot be applied to itself", fix=fix, parameter="vectors")
    return vector_model(vectors, model, quiet=quiet)


def vector_model(vectors: Path, model: str | None = None, *, quiet: bool = False) -> "ModelFile":
    """Return a file of vectors, which stands in for the model that made them, with a transform or head to apply."""
    from mrlspk.inference.model_file import ModelFile

    if model is None:
        return ModelFile(vectors, str(vectors), vectors=vectors)
    if Path(model).suffix.lower() == TRANSFORM:
        return ModelFile(Path(model), model, vectors=vectors)
    return replace(resolve_model(model, quiet=quiet), vectors=vectors)


def check_norm(config: "Config", cohort: Path | None, top_n: int | None) -> None:
    """Check that flags of a normalisation come with one.

    Raises:
        UsageError: If ``--cohort`` or ``--top-n`` is given and scores are not normalised, or ``--top-n`` with S-Norm.
    """
    score_norm = config.evaluation.score_norm
    if score_norm == "none" and (cohort or top_n):
        parameter = "cohort" if cohort else "top_n"
        fix = "Give `score_norm=as`, or leave it out."
        raise UsageError("given without a score normalisation", fix=fix, parameter=parameter)
    if score_norm == "s" and top_n:
        raise UsageError(
            "S-Norm uses the whole cohort", fix="Leave it out, or give `score_norm=as`.", parameter="top_n"
        )


def trial_request(
    trials: Sequence[Path] | None,
    audio_roots: Sequence[Path] | None,
    enrolments: Sequence[Path] | None = None,
    *,
    allow_missing: bool = False,
    speakers: Path | None = None,
) -> "TrialRequest":
    """Return the trials that the flags name.

    Raises:
        DataError: If a folder of audio does not exist.
    """
    from mrlspk.evaluation.trial_list import TrialRequest

    check_audio_roots(audio_roots or ())
    return TrialRequest(tuple(trials or ()), tuple(audio_roots or ()), tuple(enrolments or ()), allow_missing, speakers)


def check_audio_roots(audio_roots: Sequence[Path]) -> None:
    """Refuse a folder of audio that does not exist, before a model is loaded.

    Raises:
        DataError: If one does not exist.
    """
    for root in audio_roots:
        with reading(root, DataError, "Check the path."):
            if root.exists():
                continue
            names = [each.name for each in root.parent.iterdir()] if root.parent.is_dir() else []
            near = nearest(root.name, names)
            hint = f"Did you mean {root.parent / near}?" if near else "Check the path."
            raise DataError("no such folder", root, hint, parameter="audio_root")


def parse_durations(text: str | None) -> tuple[float | None, ...]:
    """Return the lengths in seconds of ``1,2.5,full``, rising; None among them stands for the whole recording.

    Raises:
        UsageError: If ``text`` is anything else.
    """
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    try:
        seconds = {float(part) for part in parts if part != "full"}
    except ValueError:
        seconds = {0.0}
    if not all(0 < each <= LONGEST_SECONDS for each in seconds):
        raise UsageError(f"expected seconds such as 1,2,3,5,full, got {text!r}", parameter="durations")
    return (*sorted(seconds), *((None,) if "full" in parts else ()))


def heading(trials: "ListReport | ComparedTrials") -> Text:
    """Return the heading of one trial list, never wrapped, so that paths can be copied."""
    lines = [trials.path, f"{trials.n_target} target and {trials.n_nontarget} non-target trials"]
    if trials.official is not None:
        how = "is" if trials.official.by == "fingerprint" else "has the counts of"
        lines.append(f"{how} {trials.official.name}")
    if trials.source != "--trials":
        lines.append(trials.source)
    if trials.missing is not None and trials.missing.n_utterances:
        missing = trials.missing
        lines.append(f"{missing.n_trials} trials left out: {missing.n_utterances} utterances are missing")
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")
