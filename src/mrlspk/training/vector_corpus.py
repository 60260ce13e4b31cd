"""Read stored vectors as the corpus of a run: utterances without audio, their speakers and domains."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.data import DataConfig
from mrlspk.data.build import TrainingData, check_disjoint, domains_of, draw_validation_trials, split_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.utterance_ids import name_fault, session_of
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError, shorten
from mrlspk.vectors.source import VectorSource
from mrlspk.vectors.speakers import first_few, read_speakers, require_speakers
from mrlspk.vectors.table import rows_per_block
from mrlspk.vectors.unit_vectors import UnitVectors, load_unit_vectors

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True, kw_only=True)
class VectorData(TrainingData):
    """Stored vectors to train and validate on; the crops of ``train`` are never cut.

    Attributes:
        vectors: Of both corpora.
    """

    vectors: UnitVectors

    def rows_of(self, utterances: Sequence[Utterance]) -> NDArray[np.int64]:
        """Return the rows (n,) of utterances among the vectors."""
        return self.vectors.find([each.utterance_id for each in utterances])


def read_vector_data(config: DataConfig, *, seed: int) -> VectorData:
    """Return the vectors of a run, with speakers held out for validation and their trials.

    A speaker of several files is one speaker. Each file is a domain, unless a column of metadata says otherwise: both
    sides of a trial are of one file, since files are told apart by more than voices.

    Raises:
        DataError: If a file cannot be used, an id has no speaker, there are too few speakers, or training and
            validation share one.
    """
    paths = (*config.vectors, *config.val_vectors)
    vectors = load_unit_vectors(paths)
    labels = None if config.speakers is None else read_speakers(config.speakers)
    files = _utterances(vectors, labels)
    corpus = _manifest(config.vectors, files[: len(config.vectors)])
    others = _manifest(config.val_vectors, files[len(config.vectors) :]) if config.val_vectors else None
    domains = domains_of(corpus if others is None else others, config) or _domains(paths, files)
    corpus, validation = split_corpus(corpus, others, config, seed=seed, domains=domains)
    check_disjoint(corpus.speakers, validation.speakers, where="data.val_vectors")
    if len(corpus.speakers) < 2:
        raise DataError(f"expected two speakers or more to train on, got {len(corpus.speakers)}", corpus.root)
    trials = draw_validation_trials(validation, config, seed=seed, domains=domains)
    fingerprint = _fingerprint(vectors, corpus, validation)
    train = CropDataset(corpus, crop_seconds=config.chunk_duration, seed=seed, fingerprint=fingerprint)
    return VectorData(corpus, train, validation, trials, domains, vectors=vectors)


def _utterances(vectors: UnitVectors, labels: Mapping[str, str] | None) -> list[UtteranceTable]:
    """Return the utterances of each file, by id."""
    found = []
    for path, start, part in zip(vectors.paths, vectors.starts.tolist(), vectors.parts, strict=True):
        ids = vectors.ids[start : start + len(part)]
        if faulty := next((id_ for id_ in ids if name_fault(id_)), None):
            what = f"expected ids that a trial list can hold, got {shorten(faulty)!r}: {name_fault(faulty)}"
            raise DataError(what, path, "Rename it.")
        named = zip(ids, require_speakers(ids, labels, path), strict=True)
        utterances = (Utterance(id_, name, session_of(id_), VectorSource(id_)) for id_, name in named)
        found.append(UtteranceTable.of(utterances).in_order())
    return found


def _domains(paths: Sequence[Path], files: Sequence[UtteranceTable]) -> dict[str, str]:
    """Return the domain of each speaker: the name of the first of its files; warn of speakers of several.

    It is empty if all are of one.
    """
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else list(map(str, paths))
    domains: dict[str, str] = {}
    shared: dict[str, None] = {}
    for name, utterances in zip(names, files, strict=True):
        for speaker in utterances.speakers:
            if domains.setdefault(speaker, name) != name:
                shared[speaker] = None
    if shared:
        told = "%d speakers have vectors in several files, and count as one speaker each: %s"
        log.warning(told, len(shared), first_few(sorted(shared)))
    return domains if len(set(domains.values())) > 1 else {}


def _manifest(paths: Sequence[Path], files: Sequence[UtteranceTable]) -> Manifest:
    """Return the utterances of files, by id; the root names the files."""
    root = paths[0] if len(paths) == 1 else Path(" + ".join(path.name for path in paths))
    return Manifest(root, UtteranceTable.of(chain.from_iterable(files)).in_order())


def _fingerprint(vectors: UnitVectors, *corpora: Manifest) -> str:
    """Return the SHA-256, in hex, over ids, speakers and values, whatever the files and their formats."""
    utterances = chain.from_iterable(each.utterances for each in corpora)
    named = "\n".join(f"{each.utterance_id} {each.speaker_id}" for each in utterances)
    digest = hashlib.sha256(named.encode())
    ids = list(chain.from_iterable(each.utterance_ids for each in corpora))
    rows, step = vectors.find(ids), rows_per_block(vectors.dim)
    for start in range(0, len(rows), step):
        digest.update(vectors.rows(rows[start : start + step]).astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
