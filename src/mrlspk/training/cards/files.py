"""A model card beside its checkpoint: as JSON for programs, as Markdown for people."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mrlspk.files import file_sha256, whole_file
from mrlspk.models.checkpoints.model_card import BaseCard, ModelCard

NON_COMMERCIAL = "> **Non-commercial use only**: that binds the model that this one was trained from, and so this one."


def write_card(checkpoint: Path, card: ModelCard) -> None:
    """Write the card beside its checkpoint: ``best.pt`` gets ``best.card.json`` and ``best.card.md``.

    Raises:
        MrlspkError: If a file cannot be written.
    """
    shown = card.model_copy(update={"checkpoint": checkpoint.name, "sha256": file_sha256(checkpoint)})
    texts = {"json": shown.model_dump_json(indent=2) + "\n", "md": render_markdown(shown)}
    for suffix, text in texts.items():
        with whole_file(checkpoint.with_name(f"{checkpoint.stem}.card.{suffix}")) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def render_markdown(card: ModelCard) -> str:
    """Return the card for people: what the model is, how to use it, on what terms, and its figures in percent."""
    title = f"# {_one_line(card.title)}"
    return "\n".join([title, "", *_what(card), *_use(card), *_terms(card), *_figures(card), *_facts(card)])


def _what(card: ModelCard) -> Iterator[str]:
    if any(base.non_commercial for base in _chain(card.base)):
        yield from (NON_COMMERCIAL, "")
    *narrow, full = card.dims
    widths = f" whose first {_listed(narrow)} values are embeddings too" if narrow else ""
    origin = f"Trained from {_one_line(card.base.model)}" if card.base else "Trained from scratch"
    yield f"A speaker encoder: 16 kHz speech to an embedding of {full} values{widths}."
    yield f"{origin} on the speech of {card.data.speakers:,} speakers, with mrlspk {card.mrlspk_version}."
    yield ""


def _use(card: ModelCard) -> list[str]:
    file = card.checkpoint or "model.pt"
    return [
        "## Use",
        "",
        "```sh",
        f"mrlspk embed recording.wav --model {file} --dim {card.dims[0]}",
        f"mrlspk eval {file} --trials trials.txt --audio-root audio",
        "```",
        "",
    ]


def _terms(card: ModelCard) -> Iterator[str]:
    yield from ("## Licence", "")
    if card.base is None:
        yield "There is no base model; the terms of the training speech are not known to mrlspk."
    else:
        rows = [row for base in _chain(card.base) for row in _base_rows(base)]
        yield "A model is bound by the terms of the one that it was trained from."
        yield "Those of the training speech are not known to mrlspk."
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
    ]


def _figures(card: ModelCard) -> list[str]:
    trials = card.trials
    rows = [(each.dim, f"{100 * each.eer:.2f}", f"{each.min_dcf:.4f}") for each in card.results]
    return [
        "## Figures",
        "",
        f"On speakers held out of the training, after epoch {card.epoch}: {_one_line(trials.description)}",
        f"({trials.n_target:,} target and {trials.n_nontarget:,} non-target trials, SHA-256 of the list "
        f"`{trials.sha256}`).",
        _caution(card),
        "",
        *_table(("width", "EER %", f"minDCF (prior {trials.p_target:g})"), rows),
        "",
    ]


def _caution(card: ModelCard) -> str:
    chosen = "The checkpoint was chosen by these trials, so figures on others may be worse"
    return f"{chosen}; the base model may have been trained on their speakers." if card.base else f"{chosen}."


def _facts(card: ModelCard) -> list[str]:
    rows = [
        ("file", card.checkpoint or "unknown"),
        ("SHA-256", card.sha256 or "unknown"),
        ("family", card.family),
        ("parameters", f"{card.parameters:,}"),
        ("widths", _listed(card.dims)),
        (
            "training speech",
            f"{card.data.folder}: {card.data.utterances:,} utterances of {card.data.speakers:,} speakers",
        ),
        ("fingerprint of its file names", card.data.fingerprint),
    ]
    return ["## Details", "", *_table(("", ""), rows), ""]


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
    """Return a cell's text on one line; a bar would end the cell."""
    return _one_line(text).replace("|", r"\|")


def _one_line(text: str) -> str:
    """Return text of any file on one line, without what does not print and without tags."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split()).replace("<", "&lt;")
