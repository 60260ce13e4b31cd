"""Join corpora into one: ids and speakers get the name of their corpus in front, so that none collide."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.choices import AUTO
from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.corpora.likely_corpus import SPLITS
from mrlspk.data.corpora.recipe_registry import find_published, list_corpus, published_layout, recipe_for
from mrlspk.data.left_out import LeftOut
from mrlspk.data.manifest import Manifest, Utterance


@dataclass(frozen=True)
class CorpusPart:
    """One of several corpora that are joined.

    Args:
        label: Its name in ids and reports; empty if it is the only one.
        path: Of the corpus.
        corpus: Its recipe, as `recipe_for` takes it.
        weight: How often its utterances are drawn, against those of weight 1.
    """

    label: str
    path: Path
    corpus: str = AUTO
    weight: float = 1.0

    @cached_property
    def layout(self) -> str | None:
        """The layout of the published corpus that it is; None if it is another corpus."""
        return find_published(recipe_for(self.path, self.corpus))

    def join(self, name: str) -> str:
        """Return an id or speaker of this corpus as the joined one has it."""
        return f"{self.label}/{name}" if self.label else name


def label_corpora(entries: Sequence[tuple[Path, str, float]]) -> tuple[CorpusPart, ...]:
    """Return the corpora of (path, recipe, weight) with a label each; a single one has none.

    The label is the name of a published corpus, else that of the folder, or of the one that it is a part of. Equal
    ones are numbered.
    """
    if len(entries) == 1:
        return (CorpusPart("", *entries[0]),)
    parts, counts = list[CorpusPart](), dict[str, int]()
    for path, corpus, weight in entries:
        recipe = recipe_for(path, corpus)
        name = recipe.name if find_published(recipe) else _name_of(path)
        counts[name] = counts.get(name, 0) + 1
        label = name
        while any(each.label == label for each in parts):
            label, counts[name] = f"{name}-{max(counts[name], 2)}", counts[name] + 1
        parts.append(CorpusPart(label, path, corpus, weight))
    return tuple(parts)


def _name_of(path: Path) -> str:
    """Return the name of a folder that is not called as a part of a corpus, without characters that ids cannot hold."""
    names = [path.stem if path.suffix in {".parquet", ".jsonl", ".tsv", ".tar"} else path.name]
    names += [each.name for each in Path(os.path.abspath(path)).parents]  # noqa: PTH100 - keeps links
    name = next((each for each in names if each and each not in SPLITS), names[0])
    return re.sub(r"[^\w.+-]+", "-", name) or "corpus"


def name_of_parts(parts: Sequence[CorpusPart]) -> Path:
    """Return the path of a single corpus, or a name made of the labels of several, which is no path of a file."""
    return parts[0].path if len(parts) == 1 else Path(" + ".join(part.label for part in parts))


def scan_corpora(parts: Sequence[CorpusPart]) -> Manifest:
    """Return the utterances of corpora in the order of their ids; those of a single one keep their ids.

    Raises:
        DataError: If a corpus cannot be used.
        UsageError: If there is no such recipe.
    """
    scanned = [list_corpus(part.path, part.corpus) for part in parts]
    if len(parts) == 1:
        return scanned[0]
    pairs = sorted(zip(parts, scanned, strict=True), key=lambda pair: f"{pair[0].label}/")
    left_out = tuple(_left_out(each, manifest) for _, manifest in pairs for each in manifest.left_out)
    return Manifest(name_of_parts(parts), (each for pair in pairs for each in _joined(*pair)), left_out)


def _joined(part: CorpusPart, manifest: Manifest) -> Iterator[Utterance]:
    for each in manifest.utterances:
        yield replace(
            each,
            utterance_id=part.join(each.utterance_id),
            speaker_id=part.join(each.speaker_id),
            session_id=part.join(each.session_id),
            weight=part.weight * each.weight,
        )


def _left_out(left_out: LeftOut, manifest: Manifest) -> LeftOut:
    return replace(left_out, path=os.path.abspath(manifest.root / left_out.path))  # noqa: PTH100 - keeps links


def domains_of_parts(speakers: Iterable[str], parts: Sequence[CorpusPart]) -> Mapping[str, str]:
    """Return the label of the corpus of each speaker; empty for a single corpus."""
    return {each: each.partition("/")[0] for each in speakers} if len(parts) > 1 else {}


def names_in_corpora(
    speakers: Iterable[str], parts: Sequence[CorpusPart], utterance_ids: Collection[str]
) -> frozenset[str]:
    """Return the names, without labels, of those speakers who may be meant by others with these utterance ids.

    Speakers of different published corpora may have one name: id10270 is another in CN-Celeb2 than in VoxCeleb1. The
    layouts of the corpora and ids tell.
    """
    other = published_layout(utterance_ids)
    by_label = {part.label: part for part in parts}
    names = set[str]()
    for speaker in speakers:
        label, _, rest = speaker.partition("/")
        part, name = (by_label[label], rest) if len(parts) > 1 and label in by_label else (parts[0], speaker)
        if other is None or part.layout in {None, other}:
            names.add(name)
    return frozenset(names)


class JoinedLookup:
    """The audio of utterances of joined corpora, by their ids."""

    def __init__(self, parts: Sequence[CorpusPart]) -> None:
        self._lookups = {part.label: AudioLookup(part.path, part.corpus) for part in parts}

    def find(self, utterance_id: str) -> AudioSource | None:
        """Return the audio of an utterance; None if there is none.

        Raises:
            DataError: If several files match, or a corpus cannot be read.
        """
        if "" in self._lookups:
            return self._lookups[""].find(utterance_id)
        label, _, rest = utterance_id.partition("/")
        return self._lookups[label].find(rest) if label in self._lookups else None
