"""Describe an ONNX speaker model, draft its YAML file, and check its front end on a few speakers."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Utterance
from mrlspk.errors import CheckpointError, DataError, UsageError
from mrlspk.files import whole_file
from mrlspk.inference.backend_registry import GRAPH_SUFFIX
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.graph_file import is_ours
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.recording import Recording
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.description import Description, draft, written
from mrlspk.inference.speaker_models.graph_ports import Ports, read_ports
from mrlspk.inference.speaker_models.graph_safety import read_safe_graph
from mrlspk.inference.speaker_models.loading import find_description, open_speaker_model
from mrlspk.inference.speaker_models.separation import BETTER, Separation, measure_separation, other_front_ends

MOST_SPEAKERS, MOST_UTTERANCES = 8, 4
SECONDS = 4.0  # of each recording


@dataclass(frozen=True)
class FrontEndCheck:
    """Speakers embedded with the front end of a model, and with others.

    Attributes:
        found: With its own front end.
        speakers: How many.
        recordings: How many.
        better: Front ends that separate the speakers clearly better, by what they change.
    """

    found: Separation
    speakers: int
    recordings: int
    better: dict[str, Separation]


@dataclass(frozen=True)
class DescribedModel:
    """An ONNX speaker model.

    Attributes:
        path: Of the file.
        sha256: Of the file and of weights beside it.
        ports: Inputs and outputs of its graph.
        properties: Metadata of the file.
        parameters: Number of values of its weights.
        bytes: Size of the file.
        description: How it is run; None if nothing describes it.
        embed_dim: Width of its embedding; None likewise.
        min_samples: The fewest samples that it embeds; None likewise.
        takes_batches: Whether it computes several recordings at once; None likewise.
        settings: Its YAML file: what is in use, or a draft to edit.
        check: None without recordings.
    """

    path: Path
    sha256: str
    ports: Ports
    properties: dict[str, str]
    parameters: int
    bytes: int
    description: Description | None
    embed_dim: int | None
    min_samples: int | None
    takes_batches: bool | None
    settings: str
    check: FrontEndCheck | None


def describe_model(
    model: ModelFile, *, speech: Path | None = None, output: Path | None = None, force: bool = False
) -> DescribedModel:
    """Return how an ONNX speaker model is run.

    Args:
        model: ONNX file of another toolkit.
        speech: Corpus with speakers to check the front end on.
        output: Where to write the YAML file that describes it.
        force: Overwrite ``output``.

    Raises:
        UsageError: If the file is not ONNX.
        CheckpointError: If it is damaged, refused, or a file that `mrlspk export` wrote, its description does not fit,
            or there is none to check.
        DataError: If the corpus has fewer than two speakers with two recordings each.
        MrlspkError: If ``output`` exists and ``force`` is false, or it cannot be written.
        MissingDependencyError: If a package is not installed.
    """
    path = model.path
    _check_kind(path)
    graph = read_safe_graph(path)
    ports, description = read_ports(graph.proto), find_description(graph, path)
    backend = open_speaker_model(graph, description, path) if description else None
    if speech is not None and backend is None:
        raise CheckpointError("has no front end to check", path, "Describe it in a YAML file beside it first.")
    settings = written(description) if description else draft(ports)
    check = check_front_end(backend, speech) if backend and speech else None
    if output is not None:
        with whole_file(output, force=force) as partial:
            partial.write_text(settings, encoding="utf-8")
    return DescribedModel(
        path=path,
        sha256=graph.sha256,
        ports=ports,
        properties=graph.properties,
        parameters=graph.parameters,
        bytes=path.stat().st_size,
        description=description,
        embed_dim=backend.embed_dim if backend else None,
        min_samples=backend.min_samples if backend else None,
        takes_batches=backend.takes_batches if backend else None,
        settings=settings,
        check=check,
    )


def _check_kind(path: Path) -> None:
    inspect = f"Type: mrlspk pretrained inspect {shlex.quote(str(path))}"
    if path.suffix.lower() != GRAPH_SUFFIX:
        raise UsageError(f"expected an ONNX file, got {path.name}", fix=inspect)
    if is_ours(path):
        raise CheckpointError("was exported by mrlspk, and reads audio or its own features", path, inspect)


def check_front_end(backend: SpeakerModelBackend, speech: Path) -> FrontEndCheck:
    """Embed a few speakers with the front end of a model and with those that differ from it in one value.

    Args:
        backend: The model.
        speech: Corpus with speakers.

    Raises:
        DataError: If it has too few speakers, or a recording cannot be embedded.
    """
    utterances = choose_utterances(scan_corpus(speech).by_speaker(), speech)
    speakers = [utterance.speaker_id for utterance in utterances]
    found = measure_separation(_embed(backend, utterances), speakers)
    others = {
        change: measure_separation(_embed(backend.with_front_end(front_end), utterances), speakers)
        for change, front_end in other_front_ends(backend.description.front_end)
    }
    better = {change: other for change, other in others.items() if other.distance > BETTER * max(found.distance, 0.0)}
    return FrontEndCheck(found, len(set(speakers)), len(speakers), better)


def choose_utterances(by_speaker: Mapping[str, Sequence[Utterance]], where: Path) -> list[Utterance]:
    """Return up to four utterances of each of up to eight speakers, spread evenly over all there are.

    Raises:
        DataError: If fewer than two speakers have two utterances.
    """
    usable = [utterances for utterances in by_speaker.values() if len(utterances) > 1]
    if len(usable) < 2:
        what = f"expected two speakers with two recordings each, found {len(usable)}"
        raise DataError(what, where, "Name a folder with one subfolder per speaker.")
    return [each for group in _spread(usable, MOST_SPEAKERS) for each in _spread(group, MOST_UTTERANCES)]


def _spread[Item](items: Sequence[Item], most: int) -> list[Item]:
    places = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[place] for place in places]


def _embed(backend: SpeakerModelBackend, utterances: Sequence[Utterance]) -> NDArray[np.float32]:
    """Return the embeddings of the middle of each utterance, in order.

    Raises:
        DataError: If one cannot be embedded.
    """
    wanted = [Recording(each.source, SECONDS, short_is_whole=True) for each in utterances]
    usual = EvaluationConfig()
    found = embed_recordings(backend, wanted, batch_size=usual.batch_size, max_seconds=usual.max_seconds)
    for recording, problem in found.errors.items():
        raise DataError(problem, str(recording), "Leave the file out, or name another folder.")
    return np.stack([found.embeddings[each].vector for each in wanted])
