"""Start a run from another model: its encoder, its classifier weights, and a report of what was taken over."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture, describe_architecture
from mrlspk.config.model import HeadConfig
from mrlspk.inference.model_file import ModelFile, locate_model
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.checkpoints import LoadedModel, schema, with_widths
from mrlspk.models.checkpoints.state_dict_report import is_plain
from mrlspk.models.encoder import build_encoder
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.closed_form import Method
from mrlspk.training.records import Carried, WarmStart

REINITIALISED = "classifier weights reinitialised"


def find_base_model(config: Config, *, cache_dir: Path | None, mirror: str | None) -> ModelFile | None:
    """Return the file of the model to start from, fetched if need be; None if training starts from scratch.

    Raises:
        DownloadError: If a published model cannot be fetched.
    """
    model = config.base_model
    return None if model is None else locate_model(model, cache_dir=cache_dir, mirror=mirror)


def build_encoder_from(config: Config, loaded: LoadedModel | None) -> tuple[HeadedModel, Architecture]:
    """Return a loaded encoder with the configured widths, or a random one, and its architecture.

    Front end, backbone, pooling, the normalisation of the head and the rows that both heads have are those of
    ``loaded``.

    Args:
        config: Section ``model`` has the widths, and the backbone of a random encoder.
        loaded: The model to start or resume from; None for random weights.
    """
    dims = config.model.matryoshka_dims
    if loaded is None:
        assert config.model.backbone is not None  # checked by the configuration
        architecture = describe_architecture(config.model.backbone, dims)
        return build_encoder(architecture), architecture
    encoder, _ = with_widths(loaded, dims)
    changed = {"matryoshka_dims": dims, "output_norm": False}
    return encoder, loaded.architecture.model_copy(update=changed)


def wanted_rotation(head: HeadConfig, loaded: LoadedModel | None) -> Method | Literal["auto"]:
    """Return the method by which a run rotates its head; ``none`` for a head that is Matryoshka already."""
    if head.rotation == "auto" and head.start == "pretrained" and loaded is not None:
        return "none" if len(loaded.architecture.matryoshka_dims) > 1 else "auto"
    return head.rotation


@dataclass(frozen=True)
class ClassWeights:
    """Whether the classifier weights of a file were kept or reinitialised, and why.

    Attributes:
        state: ``kept``, or ``rebuilt``: reinitialised; None for a loss without classes.
        classes_in_file: None if the file has no classifier, or does not say how many classes it has.
        classes: Classes of this run's loss; 0 without.
        remark: The same, as part of a sentence.
    """

    state: Carried | None
    classes_in_file: int | None
    classes: int
    remark: str


def report_warm_start(source: str, loaded: LoadedModel, weights: ClassWeights, *, embed_dim: int) -> WarmStart:
    """Return what an encoder of ``embed_dim`` values, and its loss, have from a loaded model."""
    report, rows_kept = loaded.report, min(embed_dim, loaded.encoder.embed_dim)
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
    """Load the classifier weights of a training checkpoint of ours into the loss if they are of the same speakers.

    Args:
        criterion: The loss of this run; changed in place if the weights are kept.
        loaded: The model to start from.
        fingerprint: Of the training corpus of this run.
        same_head: Whether the head starts as the model has it: classifier weights do not fit a rotated or new head.
    """
    loss, in_file = criterion.loss, _classes_in_file(loaded)
    if not isinstance(loss, AAMSoftmax):
        return ClassWeights(None, in_file, 0, "the loss has no classes")
    classes = f"{loss.n_classes:,}"
    if in_file is None:
        found = "those in the file are not used" if loaded.report.left_out else "the file has none"
        remark = f"{REINITIALISED}: {found}, this run has {classes} classes"
        return ClassWeights("rebuilt", None, loss.n_classes, remark)
    saved, speeds = _saved_criterion(loaded), ""
    if in_file == loss.n_classes * _speeds_in_file(loaded) != loss.n_classes:
        saved, speeds = (
            {name: _first_rows(values, loss) for name, values in saved.items()},
            ", without those of other speeds",
        )
    elif in_file != loss.n_classes:
        remark = f"{REINITIALISED}: the file has {in_file:,} classes, this run {classes}"
        return ClassWeights("rebuilt", in_file, loss.n_classes, remark)
    if not _same_corpus(loaded, fingerprint):
        remark = f"{REINITIALISED}: the {in_file:,} classes in the file are of another corpus"
    elif not same_head:
        remark = f"{REINITIALISED}: those in the file belong to a head that is not kept"
    elif _fits(saved, criterion.state_dict()):
        criterion.load_state_dict(saved)
        return ClassWeights("kept", in_file, loss.n_classes, f"classifier weights kept: {classes} classes{speeds}")
    else:
        remark = f"{REINITIALISED}: those in the file have another shape"
    return ClassWeights("rebuilt", in_file, loss.n_classes, remark)


def _classes_in_file(loaded: LoadedModel) -> int | None:
    """Return the number of classes of the file's classifier: speakers, times speeds."""
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
    """Return the number of speeds at which a run of ours had its own class for each speaker; 1 if unknown."""
    data = (loaded.config or {}).get("data")
    others = data.get("speed_perturbation") if isinstance(data, dict) else None
    return 1 + len(others) if isinstance(others, list | tuple) else 1


def _first_rows(values: Any, loss: AAMSoftmax) -> Any:
    """Return the classifier weights of unchanged speech: those of other speeds come after them."""
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
