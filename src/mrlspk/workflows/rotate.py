"""Make a Matryoshka model without training: rotate the embedding so that its prefixes carry the most."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mrlspk.config.evaluation import EvaluationConfig, SpeechMode
from mrlspk.data.choices import AUTO
from mrlspk.data.exclude import scan_remaining
from mrlspk.data.manifest import Manifest
from mrlspk.data.trials import trials_text
from mrlspk.errors import DataError, MrlspkError, UsageError
from mrlspk.evaluation.embedder import Embedder, Embeddings, build_embedder
from mrlspk.evaluation.rotation_trials import rotation_trials_entry, rotation_trials_path
from mrlspk.evaluation.score_ranges import measure_score_ranges
from mrlspk.files import Claim, OnProgress, UnwrittenError, claimed_file, file_sha256
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.provenance import base_file, describe_base, describe_source
from mrlspk.inference.recording import Recording
from mrlspk.inference.torch_backend import TorchBackend, load_checkpoint
from mrlspk.inference.torch_device import find_device
from mrlspk.models.checkpoints import (
    LoadedModel,
    check_suffix,
    encoder_entries,
    network_of,
    schema,
    write_checkpoint,
)
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.encoder import Encoder
from mrlspk.rotation.closed_form import Method
from mrlspk.rotation.folds import (
    CHOICE_SECONDS,
    CHOICE_SPEAKERS,
    CHOICE_UTTERANCES,
    check_speakers,
    draw_folds,
    draw_utterances,
    with_speaker,
)
from mrlspk.rotation.held_out_scores import HeldOutScores, score_held_out
from mrlspk.rotation.selection import RotationCandidates, RotationChoice, cross_validate_rotation
from mrlspk.rotation.transform import Transform, describe_transform
from mrlspk.workflows.transform_vectors import TransformRequest

log = logging.getLogger("mrlspk.training")

DEFAULT_DIMS = 64, 128


@dataclass(frozen=True)
class RotateRequest:
    """Options of a rotation.

    Attributes:
        method: A method, or ``auto`` to select one by held-out speakers.
        dims: Widths of the new model beside its full width; None: 64, 128 and those of the model.
        utterances_per_speaker: Utterances drawn per speaker.
        max_speakers: Speakers drawn from the corpus.
        crop_seconds: Length of the crops that the selection uses.
        seed: Seed of all draws.
        transform: A transform in place of a rotation by a method.
        corpus: Recipe of the speech: auto, a name, or a pattern of paths.
        exclude: Lists of utterances to leave out.
    """

    method: Method | Literal["auto"] = "auto"
    dims: tuple[int, ...] | None = None
    utterances_per_speaker: int = CHOICE_UTTERANCES
    max_speakers: int = CHOICE_SPEAKERS
    crop_seconds: float = CHOICE_SECONDS
    seed: int = 0
    transform: TransformRequest | None = None
    corpus: str = AUTO
    exclude: tuple[Path, ...] = ()

    @property
    def candidates(self) -> RotationCandidates:
        """The rotations to select from."""
        return RotationCandidates() if self.method == "auto" else RotationCandidates((self.method,))

    @property
    def has_choice(self) -> bool:
        """True if there is more than one."""
        return self.transform is None and len(self.candidates.listed()) > 1


@dataclass(frozen=True)
class RotatedModel:
    """A model at ``path``, rotated or transformed, and the size of the speech that this was fitted to.

    Attributes:
        choice: The rotation; None after a transform.
        transform: What JSON and cards say of a transform; a rotation is in no order of these.
        held_out: Scores at the model's widths, cross-validated over speakers; None without a selection.
        sha256: Of the file; None if it could not be written.
        bytes: Of the file; None likewise.
    """

    path: Path
    dims: tuple[int, ...]
    choice: RotationChoice | None
    transform: dict[str, Any]
    n_speakers: int
    n_utterances: int
    speech: SpeechMode
    speech_detector: str | None
    held_out: HeldOutScores | None = None
    sha256: str | None = None
    bytes: int | None = None


def rotate(
    model: ModelFile,
    speech: Path,
    *,
    output: Path,
    request: RotateRequest,
    settings: EvaluationConfig,
    device: str = "auto",
    cache_dir: Path | None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> RotatedModel:
    """Write ``model`` to ``output`` with its embedding rotated; only a transform changes full-width cosines.

    Args:
        model: A model file of any layout.
        speech: Folder with one subfolder per speaker; leave test speakers out.
        output: File to write: .pt or .safetensors.
        request: Options.
        settings: Its ``batch_size``, ``max_seconds``, ``speech``, ``channel`` and ``cache`` are used.
        device: auto, cpu, cuda, cuda:N or mps.
        cache_dir: Folder of fetched models and of embeddings.
        force: Overwrite ``output``.
        on_progress: Called with (recordings done, all recordings).

    Raises:
        CheckpointError: If the file is not a checkpoint, or does not load completely.
        DataError: If the speech cannot be used, or has too few speakers to select by.
        UsageError: If a width is wider than the model, or ``output`` ends in neither .pt nor .safetensors.
        UnwrittenError: If the file cannot be written in the end; it holds the result.
        MrlspkError: If ``output`` or the file of its trials exists and ``force`` is false, or cannot be created.
    """
    check_suffix(output)
    with ExitStack() as stack:
        claim = stack.enter_context(claimed_file(output, force=force))
        lists = stack.enter_context(claimed_file(rotation_trials_path(output), force=force))
        rotated, entries = _rotate(
            model,
            speech,
            output,
            request=request,
            settings=settings,
            device=device,
            cache_dir=cache_dir,
            on_progress=on_progress,
        )
        try:
            _write(claim, entries, lists, rotated.held_out)
        except MrlspkError as error:
            raise UnwrittenError(error, rotated) from error
    return replace(rotated, sha256=file_sha256(output), bytes=output.stat().st_size)


def _write(claim: Claim, entries: dict[str, Any], lists: Claim, held_out: HeldOutScores | None) -> None:
    """Write the model and its trials: both, or neither."""
    if held_out is None:
        write_checkpoint(claim, entries)
        return
    with lists.writing() as partial:
        partial.write_bytes(trials_text(held_out.trials).encode())
        write_checkpoint(claim, entries)


def _rotate(
    model: ModelFile,
    speech: Path,
    output: Path,
    *,
    request: RotateRequest,
    settings: EvaluationConfig,
    device: str,
    cache_dir: Path | None,
    on_progress: OnProgress | None,
) -> tuple[RotatedModel, dict[str, Any]]:
    """Return the result, and the entries of its checkpoint."""
    loaded = load_checkpoint(model)
    dims = choose_dims(loaded.encoder.dims, request.dims)
    base = describe_base(model, loaded, cache_dir=cache_dir)
    corpus = _draw(speech, request)
    encoder = network_of(loaded, model.path).to(find_device(device))
    embedder = build_embedder(TorchBackend(encoder), settings, cache_dir=cache_dir, on_progress=on_progress)
    embeddings = _embed(corpus, embedder, request)
    entries = {
        schema.CONVERTED_FROM: describe_source(model.path, loaded, base),
        schema.PROVENANCE: Provenance(kind="rotated", base=base_file(base)).entry(),
    }
    held_out = None
    if request.transform is None:
        choice, held_out = _choose(corpus, embeddings, request, dims)
        summary = describe_transform(centred=False, flatten=0.0, order=None)
        entries[schema.ROTATION] = choice.entry() | _fitted_to(embedder)
        rotated = encoder.cpu().rotated(choice.rotation.matrix, dims)
    else:
        choice, own = None, encoder.cpu().folded_head()
        transform = _fit_transform(corpus, embeddings, request.transform)
        summary = transform.summary()
        entries[schema.TRANSFORM] = summary | _fitted_to(embedder)
        entries[schema.OWN_HEAD] = {"weight": own.weight.float(), "bias": own.bias.float()}
        rotated = encoder.rotated(transform.scaled_matrix, dims, mean=transform.mean)
    if held_out is not None:
        entries |= _held_out_entries(held_out, corpus.root, output)
    result = RotatedModel(
        output,
        dims,
        choice,
        summary,
        len(corpus.speakers),
        len(corpus.utterances),
        speech=embedder.speech_mode,
        speech_detector=embedder.speech_version,
        held_out=held_out,
    )
    return result, entries | _network(loaded, rotated, dims)


def _held_out_entries(held_out: HeldOutScores, audio_root: Path, output: Path) -> dict[str, Any]:
    ranges = measure_score_ranges(held_out.scores, held_out.trials.is_target, held_out.dims)
    return {
        schema.TRIALS: rotation_trials_entry(held_out.trials, audio_root, output),
        schema.SCORE_RANGES: [each.model_dump() for each in ranges],
    }


def _fitted_to(embedder: Embedder) -> dict[str, str | None]:
    """Return what the rotation's entry says of its recordings; nothing of whole ones, as before speech detection."""
    if embedder.speech is None:
        return {}
    return {"speech": embedder.speech_mode, "speech_detector": embedder.speech_version}


def choose_dims(own: tuple[int, ...], dims: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the widths of a rotated model, rising, including its full width.

    Args:
        own: Widths of the model.
        dims: Requested widths; None: those of the model, with 64 and 128 if it is wider.

    Raises:
        UsageError: If a requested width is wider than the model.
    """
    full = own[-1]
    if dims is None:
        return tuple(sorted({*own, *(dim for dim in DEFAULT_DIMS if dim < full)}))
    if too_wide := [dim for dim in dims if dim > full]:
        raise UsageError(
            f"the model has {full} values, and a width of {too_wide[0]} needs training",
            fix=f"Give widths up to {full}.",
            parameter="dims",
        )
    return tuple(sorted({*dims, full}))


def _draw(speech: Path, request: RotateRequest) -> Manifest:
    """Draw the utterances to fit on, before any is decoded."""
    per_speaker, max_speakers = request.utterances_per_speaker, request.max_speakers
    whole = scan_remaining(speech, request.corpus, request.exclude)
    corpus = draw_utterances(whole, per_speaker=per_speaker, max_speakers=max_speakers, seed=request.seed)
    if request.has_choice:
        check_speakers(corpus)
    return corpus


def _embed(corpus: Manifest, embedder: Embedder, request: RotateRequest) -> Embeddings:
    """Embed each utterance whole, and its middle if a rotation is to be selected."""
    lengths = (None, request.crop_seconds) if request.has_choice else (None,)
    try:
        return embedder.embed(Recording(each.source, seconds) for each in corpus.utterances for seconds in lengths)
    except DataError as error:
        raise DataError(error.what, error.where, "Repair these recordings, or remove them.") from error


def _choose(
    corpus: Manifest, embeddings: Embeddings, request: RotateRequest, dims: tuple[int, ...]
) -> tuple[RotationChoice, HeldOutScores | None]:
    """Select a rotation if there are several, fit it to all speakers, and score the selected one on held-out ones."""
    sources = {utterance.utterance_id: utterance.source for utterance in corpus.utterances}
    whole = embeddings.of(sources)
    vectors = with_speaker(corpus, whole)
    if not request.has_choice:
        return cross_validate_rotation((), request.candidates, refit=vectors), None
    crops = embeddings.of(sources, crop_seconds=request.crop_seconds)
    if len(crops) < len(whole):
        shorter = len(whole) - len(crops)
        log.warning(
            "%d of %d files are shorter than %g s and left out of the trials",
            shorter,
            len(whole),
            request.crop_seconds,
        )
    folds = draw_folds(corpus, whole, crops, seed=request.seed)
    choice = cross_validate_rotation(folds, request.candidates, refit=vectors)
    return choice, score_held_out(folds, choice.rotation, whole, dims)


def _fit_transform(corpus: Manifest, embeddings: Embeddings, request: TransformRequest) -> Transform:
    """Fit a transform to embeddings as the head gives them, so that it can be folded into the head."""
    sources = {utterance.utterance_id: utterance.source for utterance in corpus.utterances}
    vectors = with_speaker(corpus, embeddings.of(sources))
    return request.fit(vectors.embeddings, vectors.speaker_index, where=corpus.root, unit_length=False)


def _network(loaded: LoadedModel, rotated: Encoder, dims: tuple[int, ...]) -> dict[str, Any]:
    """Return the entries of the rotated network, with configuration and corpus of its run if they are known."""
    architecture = loaded.architecture.model_copy(update={"matryoshka_dims": dims, "output_norm": False})
    known = {schema.CONFIG: loaded.config, schema.CORPUS: loaded.contents.get(schema.CORPUS)}
    return encoder_entries(rotated, architecture) | {key: entry for key, entry in known.items() if entry is not None}
