"""What a run takes over from the file that it starts from, every entry accounted for."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.checkpoints import LoadedModel, schema
from mrlspk.models.checkpoints.state_dict_report import is_plain
from mrlspk.training.records import Carried, WarmStart


@dataclass(frozen=True)
class ClassWeights:
    """What became of a classifier.

    Attributes:
        state: ``kept`` or ``rebuilt``, which begins at random; None for a loss without classes.
        classes_in_file: None where the file has no classifier, or does not say for how many.
        classes: Of this run's loss; 0 for one without.
        remark: The same as a sentence's part.
    """

    state: Carried | None
    classes_in_file: int | None
    classes: int
    remark: str


def report_warm_start(
    source: str, loaded: LoadedModel, weights: ClassWeights, *, rows_kept: int, embed_dim: int
) -> WarmStart:
    """Return the report on a model that was loaded, and whose class weights were taken or not."""
    report = loaded.report
    return WarmStart(
        source=source,
        family=loaded.family,
        loaded=report.loaded,
        missing=report.missing,
        unexpected=report.unexpected,
        left_out=report.left_out,
        coverage=report.coverage,
        head_rows_kept=rows_kept,
        head_rows_random=embed_dim - rows_kept,
        class_weights=weights.state,
        classes_in_file=weights.classes_in_file,
        classes=weights.classes,
        remark=weights.remark,
    )


def take_class_weights(
    criterion: MatryoshkaLoss, loaded: LoadedModel, *, fingerprint: str, same_head: bool
) -> ClassWeights:
    """Give the loss the class weights of a training checkpoint of ours, where they are of the same speakers.

    Args:
        criterion: Of this run; changed where the weights are kept.
        loaded: The model to start from.
        fingerprint: Of the training corpus of this run.
        same_head: Whether the head begins as the model has it: class weights say nothing of one that is turned or new.
    """
    loss, in_file = criterion.loss, _classes_in_file(loaded)
    if not isinstance(loss, AAMSoftmax):
        return ClassWeights(None, in_file, 0, "the loss has no classes")
    classes = f"{loss.n_classes:,}"
    if in_file is None:
        has_one = bool(loaded.report.left_out)
        found = "classifier in the file not used" if has_one else "no classifier in the file"
        return ClassWeights("rebuilt", None, loss.n_classes, f"{found}, {classes} speakers here: rebuilt")
    saved, speeds = _saved_criterion(loaded), ""
    if in_file == loss.n_classes * _speeds_in_file(loaded) != loss.n_classes:
        saved, speeds = {name: _first_rows(values, loss) for name, values in saved.items()}, ", without other speeds,"
    elif in_file != loss.n_classes:
        remark = f"classifier for {in_file:,} speakers in the file, {classes} here: rebuilt"
        return ClassWeights("rebuilt", in_file, loss.n_classes, remark)
    if not _same_corpus(loaded, fingerprint):
        remark = f"classifier for {in_file:,} speakers of another corpus in the file, {classes} here: rebuilt"
    elif not same_head:
        remark = f"classifier for the same {classes} speakers in the file, of a head that is not kept: rebuilt"
    elif _fits(saved, criterion.state_dict()):
        criterion.load_state_dict(saved)
        return ClassWeights("kept", in_file, loss.n_classes, f"classifier for {classes} speakers{speeds} kept")
    else:
        remark = f"classifier for the same {classes} speakers in the file, of another shape: rebuilt"
    return ClassWeights("rebuilt", in_file, loss.n_classes, remark)


def _classes_in_file(loaded: LoadedModel) -> int | None:
    """Return how many speakers, each counted once a speed, the file's classifier tells apart."""
    if loaded.family == "mrlspk":
        weight = _saved_criterion(loaded).get("loss.weight")
        loss = (loaded.config or {}).get("loss")
        options = loss if isinstance(loss, dict) else {}
        centres = options.get("num_subcenters", 1) if options.get("type") == "SubCenter" else 1
        if not (isinstance(centres, int) and centres > 0 and is_plain(weight) and weight.ndim):
            return None
        return len(weight) // centres
    published = loaded.contents.get("model_config", {}).get("num_classes")
    return published if loaded.report.left_out else None


def _speeds_in_file(loaded: LoadedModel) -> int:
    """Return at how many speeds a run of ours had each speaker as a class of its own; 1 where nothing says more."""
    data = (loaded.config or {}).get("data")
    others = data.get("speed_perturbation") if isinstance(data, dict) else None
    return 1 + len(others) if isinstance(others, list | tuple) else 1


def _first_rows(values: Any, loss: AAMSoftmax) -> Any:
    """Return the class weights of speech as it is: those of other speeds come after them."""
    return values[: loss.n_classes * loss.n_subcenters] if is_plain(values) and values.ndim else values


def _saved_criterion(loaded: LoadedModel) -> dict[str, Any]:
    saved = loaded.contents.get(schema.CRITERION)
    return saved if isinstance(saved, dict) else {}


def _same_corpus(loaded: LoadedModel, fingerprint: str) -> bool:
    corpus = loaded.contents.get(schema.CORPUS)
    return isinstance(corpus, dict) and corpus.get("training") == fingerprint


def _fits(saved: dict[str, Any], own: dict[str, Tensor]) -> bool:
    return saved.keys() == own.keys() and all(
        is_plain(saved[name]) and saved[name].shape == values.shape for name, values in own.items()
    )
