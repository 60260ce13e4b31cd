"""``mrlspk compare``: compare two or more models on the same trials."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrlspk.cli import output
from mrlspk.cli.compare_tables import comparison_tables
from mrlspk.cli.options import (
    AsJson,
    ChannelChoice,
    ConfigPath,
    Debug,
    Device,
    Force,
    Overrides,
    Quiet,
    TrustCode,
    check_speech,
    choose_device,
    find_cache_folder,
    model_argument,
    parse_dims,
    read_config,
    resolve_model,
    typed_command,
)
from mrlspk.cli.trial_options import (
    AllowMissing,
    AllowUntrainedDim,
    AudioRoots,
    CohortPath,
    Dims,
    Enrolments,
    EvaluatedSpeech,
    NoCache,
    PTargets,
    ReportFolder,
    Resamples,
    ScoreNormChoice,
    TopN,
    TrialFiles,
    VectorsFiles,
    VectorSpeakers,
    check_norm,
    trial_request,
    vector_model,
)
from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.evaluation.run_checkpoints import RunCheckpoint
    from mrlspk.evaluation.score_files import ModelScores
    from mrlspk.inference.model_file import ModelFile


STORED = ".npz"


def compare_command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None,
        model_argument(
            "Two or more paths, published names or .npz files of `mrlspk eval --scores`; or one run's folder."
        ),
    ] = None,
    *,
    vectors: VectorsFiles = None,
    speakers: VectorSpeakers = None,
    trials: TrialFiles = None,
    audio_root: AudioRoots = None,
    enroll: Enrolments = None,
    allow_missing: AllowMissing = False,
    dims: Dims = None,
    allow_untrained_dim: AllowUntrainedDim = False,
    p_target: PTargets = None,
    score_norm: ScoreNormChoice = None,
    cohort: CohortPath = None,
    top_n: TopN = None,
    speech: EvaluatedSpeech = None,
    channel: ChannelChoice = None,
    resamples: Resamples = None,
    no_cache: NoCache = False,
    report: ReportFolder = None,
    force: Force = False,
    config: ConfigPath = None,
    overrides: Overrides = None,
    trust_code: TrustCode = False,
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Compare models on the same trials, with significance.

    Example:
        mrlspk compare a.pt b.pt --trials trials.txt --audio-root speech
        mrlspk compare checkpoints/my-run
    """
    from mrlspk.evaluation.json_documents import comparison_values
    from mrlspk.evaluation.report import check_report, write_report
    from mrlspk.workflows.compare import ComparisonRequest, compare

    if report is not None:
        check_report(report, force=force)
    if p_target and len(p_target) > 1:
        raise UsageError(f"expected one prior, got {len(p_target)}", fix="Give one.", parameter="p_target")
    settings = read_config(
        config,
        overrides,
        p_target=p_target,
        score_norm=score_norm,
        cohort=cohort,
        top_n=top_n,
        speech=speech,
        channel=channel,
        n_resamples=resamples,
        cache=False if no_cache else None,
    )
    check_norm(settings, cohort, top_n)
    check_speech(settings.evaluation.speech)
    named, run = _find_run(models or [])
    request = ComparisonRequest(
        trials=trial_request(trials, audio_root, enroll, allow_missing=allow_missing, speakers=speakers),
        models=_find_models(named, vectors or [], quiet=quiet, trust_code=trust_code),
        dims=parse_dims(dims),
        allow_untrained_dim=allow_untrained_dim,
        run=run,
    )
    if (score_norm or cohort or top_n or speech or channel or no_cache) and not request.files:
        fix = "Leave out --score-norm, --cohort, --top-n, --speech, --channel and --no-cache."
        raise UsageError("stored scores cannot be normalised or embedded again", fix=fix)
    with output.progress("embedding", quiet=quiet) as on_progress:
        result = compare(
            request,
            config=settings,
            device=choose_device(device, settings),
            cache_dir=find_cache_folder(),
            on_progress=on_progress,
        )
    payload = comparison_values(result, command_line=typed_command(ctx))
    try:
        if report is not None:
            write_report(output.document("compare", payload), report, force=force)
            output.note(f"report: {report / 'index.html'}")
    finally:  # a full disk does not lose the metrics
        output.show("compare", payload, comparison_tables(result), as_json=as_json)


def _find_run(models: list[str]) -> "tuple[list[str], tuple[RunCheckpoint, ...]]":
    """Return the models to compare, those of a run folder if one is named, and its checkpoints if it goes by epoch."""
    from mrlspk.evaluation.run_checkpoints import find_candidates, find_run_checkpoints

    if len(models) != 1 or not (folder := Path(models[0])).is_dir():
        return models, ()
    if candidates := find_candidates(folder):
        return [str(path) for path in candidates], ()
    run = find_run_checkpoints(folder)
    return [str(each.path) for each in run], run


def _find_models(
    models: list[str], vectors: list[Path], *, quiet: bool, trust_code: bool
) -> "dict[str, ModelFile | ModelScores]":
    """Return the checkpoints, stored scores and files of vectors by the typed names, in order.

    With vectors, each model is a transform or head that is applied to them. One alone is compared with the vectors
    themselves.
    """
    from mrlspk.evaluation.score_files import read_scores

    entries: dict[str, ModelFile | ModelScores] = {}
    scores = [model for model in models if _holds_scores(Path(model))]
    others = len(models) - len(scores)
    as_they_are = vectors if len(vectors) > 1 or others < 2 else []  # two heads are compared with each other
    names = [*models, *map(str, as_they_are)]
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UsageError(f"{', '.join(repeated)} is named more than once", fix="Name different checkpoints.")
    if len(names) < 2:
        raise UsageError(
            f"expected two or more models, got {len(names)}", fix="Name a second one, or give the folder of a run."
        )
    if others and len(vectors) > 1:
        fix = "Give one file of vectors, to which each head or transform is applied."
        raise UsageError(f"expected one file of vectors with models, got {len(vectors)}", fix=fix, parameter="vectors")
    for model in models:
        if model in scores:
            entries[model] = read_scores(Path(model))
        else:
            entries[model] = (
                vector_model(vectors[0], model, quiet=quiet)
                if vectors
                else resolve_model(model, quiet=quiet, trust_code=trust_code)
            )
    return entries | {str(path): vector_model(path) for path in as_they_are}


def _holds_scores(path: Path) -> bool:
    """Whether a file is one of scores: an .npz, unless it is a transform of the embeddings of a model."""
    from mrlspk.rotation.transform_file import is_transform

    return path.suffix == STORED and not is_transform(path)
