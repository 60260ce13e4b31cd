"""Create a run's model card, and write it as JSON and Markdown beside its checkpoint."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from mrlspk.config.architecture import Architecture
from mrlspk.data.demo_marker import is_demo_corpus
from mrlspk.files import file_sha256, whole_file
from mrlspk.models.checkpoints.model_card import BaseCard, DataCard, ModelCard, TransformCard, TrialsCard
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.plan import RunPlan
from mrlspk.training.records import ValidationResult

NON_COMMERCIAL = "> **Non-commercial use only**: the licence of the base model also binds this one."

SYNTHETIC = "> Trained on the demo corpus of synthetic voices: it tries the program out and is no speaker model."


def begin_card(plan: RunPlan, encoder: HeadedModel, architecture: Architecture, *, base: BaseCard | None) -> ModelCard:
    """Return the model card of a run's checkpoints, without metrics."""
    held_out, trials = plan.data.validation, plan.data.validation_trials
    return ModelCard(
        title=f"{plan.run_dir.name}: Matryoshka speaker embeddings",
        mrlspk_version=installed_version("mrlspk"),
        family=architecture.family,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        dims=encoder.dims,
        base=base,
        data=describe_data(plan),
        debug_batches=plan.max_batches,
        trials=TrialsCard(
            description=f"{len(trials):,} trials generated among {len(held_out.speakers):,} speakers of "
            f"{held_out.root.resolve().name}, seed {plan.config.seed}",
            sha256=trials.sha256,
            n_target=trials.n_target,
            n_nontarget=trials.n_nontarget,
            p_target=plan.config.evaluation.p_target[0],
        ),
    )


def describe_data(plan: RunPlan) -> DataCard:
    """Return what model cards say of the speech, or the vectors, that a run trains on."""
    corpus = plan.data.train
    return DataCard(
        folder=corpus.root.resolve().name,
        speakers=len(corpus.speakers),
        utterances=len(corpus) // len(corpus.speeds),
        fingerprint=corpus.fingerprint,
        vectors=bool(plan.config.data.vectors),
        synthetic=any(map(is_demo_corpus, [part.path for part in plan.data.parts] or [corpus.root])),
    )


def with_validation(card: ModelCard, validation: ValidationResult, *, epoch: int) -> ModelCard:
    """Return the card of the checkpoint of ``epoch``, with metrics and score ranges of the widths of the model."""
    ranges = tuple(each for each in validation.score_ranges if each.dim in card.dims)
    measured = card.with_results(validation.eer, validation.min_dcf, epoch=epoch)
    return measured.model_copy(update={"score_ranges": ranges})


def write_card(checkpoint: Path, card: ModelCard) -> None:
    """Write the model card beside its checkpoint: ``best.pt`` gets ``best.card.json`` and ``best.card.md``.

    Raises:
        MrlspkError: If a file cannot be written.
    """
    shown = card.model_copy(update={"checkpoint": checkpoint.name, "sha256": file_sha256(checkpoint)})
    texts = {"json": shown.model_dump_json(indent=2) + "\n", "md": render_markdown(shown)}
    for suffix, text in texts.items():
        with whole_file(checkpoint.with_name(f"{checkpoint.stem}.card.{suffix}"), force=True) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def render_markdown(card: ModelCard) -> str:
    """Return the model card as Markdown: use, licence, metrics in percent and details."""
    title = f"# {_one_line(card.title)}"
    return "\n".join([title, "", *_what(card), *_use(card), *_terms(card), *_metrics(card), *_facts(card)])


def _what(card: ModelCard) -> Iterator[str]:
    if any(base.non_commercial for base in _chain(card.base)):
        yield from (NON_COMMERCIAL, "")
    if card.data.synthetic:
        yield from (SYNTHETIC, "")
    if card.debug_batches:
        yield from (f"> A debug run: each epoch ended after {card.debug_batches} batches.", "")
    *narrow, full = card.dims
    widths = f" whose first {_listed(narrow)} values are embeddings too" if narrow else ""
    origin = f"Trained from {_one_line(card.base.model)}" if card.base else "Trained from scratch"
    kind = "A head on speaker vectors: it maps them" if _is_of_vectors(card) else "A speaker encoder: 16 kHz speech"
    material = "vectors" if card.data.vectors else "the speech"
    yield f"{kind} to an embedding of {full} values{widths}."
    yield f"{origin} on {material} of {card.data.speakers:,} speakers, with mrlspk {card.mrlspk_version}."
    yield ""


def _use(card: ModelCard) -> list[str]:
    file = card.checkpoint or "model.pt"
    embed = f"mrlspk embed recording.wav --model {file} --dim {card.dims[0]}"
    score = f"mrlspk eval {file} --trials trials.txt --audio-root audio"
    if _is_of_vectors(card):
        embed = f"mrlspk vectors apply vectors.npz --transform {file} --dim {card.dims[0]} -o narrow.npz"
        score = f"mrlspk eval {file} --vectors vectors.npz --trials trials.txt"
    return ["## Use", "", "```sh", embed, score, "```", ""]


def _is_of_vectors(card: ModelCard) -> bool:
    """Return whether a head has no base model, and so is for vectors alone."""
    return card.family == "head" and card.base is None


def _terms(card: ModelCard) -> Iterator[str]:
    yield from ("## Licence", "")
    if _is_of_vectors(card):
        yield "The terms of the model that made the vectors, and of its speech, are not known to mrlspk."
    elif card.base is None:
        yield "There is no base model; the terms of the training speech are not known to mrlspk."
    else:
        rows = [row for base in _chain(card.base) for row in _base_rows(base)]
        yield "The licence of the base model binds this one."
        yield "The terms of the training speech are not known to mrlspk."
        yield from ("", *_table(("base model", ""), rows))
    yield ""


def _base_rows(base: BaseCard) -> list[tuple[str, str]]:
    non_commercial = {True: "yes", False: "no", None: "unknown"}[base.non_commercial]
    return [
        ("name", base.model),
        ("family", base.family),
        ("licence", base.licence),
        ("non-commercial only", non_commercial),
        ("trained on", base.training_set or "unknown"),
        ("SHA-256", base.sha256 or "unknown"),
        *([("front end", _front_end(base.front_end))] if base.front_end else []),
    ]


def _front_end(front_end: dict[str, Any]) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in front_end.items() if key != "type")
    return f"{front_end.get('type')}: {settings}"


def _metrics(card: ModelCard) -> list[str]:
    trials = card.trials
    rows = [(each.dim, f"{100 * each.eer:.2f}", f"{each.min_dcf:.4f}") for each in card.results]
    return [
        "## Metrics",
        "",
        f"On held-out speakers, after epoch {card.epoch}: {_one_line(trials.description)}",
        f"({trials.n_target:,} target and {trials.n_nontarget:,} non-target trials, SHA-256 of the list "
        f"`{trials.sha256}`).",
        _caution(card),
        "",
        *_table(("width", "EER %", f"minDCF (prior {trials.p_target:g})"), rows),
        "",
    ]


def _caution(card: ModelCard) -> str:
    chosen = "These trials selected the checkpoint, so metrics on others may be worse"
    return f"{chosen}; the base model may have been trained on their speakers." if card.base else f"{chosen}."


def _facts(card: ModelCard) -> list[str]:
    rows = [
        ("file", card.checkpoint or "unknown"),
        ("SHA-256", card.sha256 or "unknown"),
        ("family", card.family),
        ("parameters", f"{card.parameters:,}"),
        ("widths", _listed(card.dims)),
        *_transform_rows(card.transform),
        (
            "training vectors" if card.data.vectors else "training speech",
            f"{card.data.folder}: {card.data.utterances:,} utterances of {card.data.speakers:,} speakers",
        ),
        (f"fingerprint of its {_what_identifies(card.data)}", card.data.fingerprint),
    ]
    return ["## Details", "", *_table(("", ""), rows), ""]


def _what_identifies(data: DataCard) -> str:
    return "ids, speakers and values" if data.vectors else "file names"


def _transform_rows(transform: TransformCard | None) -> list[tuple[str, str]]:
    if transform is None:
        return []
    parts = ["centred"] if transform.centred else []
    parts += [f"flattened {transform.flatten:g}"] if transform.flatten else []
    parts += [f"ordered by {transform.order}"] if transform.order else []
    return [("start of its head", ", ".join(parts) or "a rotation")]


def _chain(base: BaseCard | None) -> Iterator[BaseCard]:
    while base is not None:
        yield base
        base = base.base


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def _table(heading: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    for cells in (heading, ("---",) * len(heading), *rows):
        yield "| " + " | ".join(_plain(str(cell)) for cell in cells) + " |"


def _plain(text: str) -> str:
    """Return the text of a table cell: on one line, with bars escaped."""
    return _one_line(text).replace("|", r"\|")


def _one_line(text: str) -> str:
    """Return untrusted text on one line, without control characters and tags."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split()).replace("<", "&lt;")
