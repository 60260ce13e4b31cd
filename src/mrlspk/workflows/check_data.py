"""Check a corpus: layout, counts, audio, trials and overlap; report every problem."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.key_hints import did_you_mean
from mrlspk.data.audio.source import Channel
from mrlspk.data.checks.contents import Contents
from mrlspk.data.checks.counts import check_counts
from mrlspk.data.checks.duplicates import check_duplicates
from mrlspk.data.checks.headers import AudioNeeds
from mrlspk.data.checks.inspection import inspect_files
from mrlspk.data.checks.kinds import KINDS
from mrlspk.data.checks.layout import check_layout
from mrlspk.data.checks.names import check_case, check_names
from mrlspk.data.checks.rates import check_rates
from mrlspk.data.checks.same_audio import check_same_audio
from mrlspk.data.checks.speakers import check_overlap, check_speakers
from mrlspk.data.checks.summary import excluded_utterances
from mrlspk.data.checks.trials import check_trials
from mrlspk.data.choices import AUTO, Decode
from mrlspk.data.corpora.recipe_registry import published_counts, recipe_for
from mrlspk.data.left_out import LeftOut
from mrlspk.data.problems import Problem
from mrlspk.data.processes import default_jobs
from mrlspk.data.utterance_ids import is_utf8, printable
from mrlspk.errors import UsageError, shorten
from mrlspk.files import OnProgress
from mrlspk.inference.backend import Backend
from mrlspk.inference.model_file import ModelFile

if TYPE_CHECKING:
    from mrlspk.workflows.find_wrong_speakers import VoiceCheck

N_SAMPLED = 50  # files decoded by ``Decode.SAMPLE``
SAMPLE_SEED = 0


@dataclass(frozen=True)
class CorpusReport:
    """Contents of a corpus and its problems.

    Args:
        path: The corpus.
        corpus: Name of the recipe that reads it.
        speakers: Number of speakers.
        utterances: Number of utterances whose speaker is known.
        seconds: Length of the readable audio, as the headers say; None if no header was read.
        decoded: Number of files that were decoded.
        problems: Errors first.
        left_out: What is in the corpus and is not used.
        needs: Of the model that it was checked for; None without one.
        contents: Lengths and formats, as the headers say.
        files_per_speaker: Number of files of each speaker.
        ignored: Number of problems that are left out, by kind.
        excluded: Utterances that training had better leave out, and the kinds of their problems.
        voices: What the model says of the speakers; None without one.
    """

    path: Path
    corpus: str
    speakers: int
    utterances: int
    seconds: float | None
    decoded: int
    problems: tuple[Problem, ...]
    left_out: tuple[LeftOut, ...] = ()
    needs: AudioNeeds | None = None
    contents: Contents = field(default_factory=Contents)
    files_per_speaker: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    voices: "VoiceCheck | None" = None

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed."""
        return all(problem.severity != "error" for problem in self.problems)


def check_data(
    path: Path,
    *,
    corpus: str = AUTO,
    trials: Sequence[Path] = (),
    against: Sequence[Path] = (),
    expect: str | None = None,
    decode: Decode = Decode.SAMPLE,
    jobs: int | None = None,
    channel: Channel = "mix",
    model: ModelFile | None = None,
    device: str = "auto",
    cache_dir: Path | None = None,
    ignore: Collection[str] = (),
    on_progress: OnProgress | None = None,
    on_compared: OnProgress | None = None,
    on_embedded: OnProgress | None = None,
) -> CorpusReport:
    """Check a corpus.

    Args:
        path: Folder whose subfolders are the speakers, or a corpus that another recipe reads.
        corpus: Its recipe: auto, a name, or a pattern of paths.
        trials: Lists whose audio must be in the corpus.
        against: Other corpora, all of which must have different speakers.
        expect: Name of a corpus whose published counts must match.
        decode: How much audio to decode; with ``Decode.NONE`` no file is opened.
        jobs: Processes; None: one for each core, up to eight.
        channel: Channel to decode, counted from 0.
        model: Model that is to embed the corpus: its sample rate and fewest samples are checked, and whether the
            voices are those of the speakers.
        device: That the model runs on.
        cache_dir: Folder of cached embeddings; None for no cache.
        ignore: Kinds of problems that are left out.
        on_progress: Called with (files done, files).
        on_compared: Called with (pairs of files that may be one recording compared, pairs).
        on_embedded: Called with (utterances embedded, utterances).

    Raises:
        DataError: If ``path`` or one of ``against`` is absent or holds no audio.
        UsageError: If the counts of ``expect`` are not known, there is no such kind to ignore, or a model is given and
            no header is read.
        CheckpointError: If the model cannot be loaded.
    """
    if expect is not None and expect not in published_counts():
        guess = did_you_mean(_nearest(expect, published_counts()))
        what = f"expected one of {', '.join(published_counts())}, got {shorten(expect)!r}{guess}"
        raise UsageError(what, parameter="expect")
    if model is not None and decode is Decode.NONE:
        what = "a model needs the lengths, which only the headers tell"
        raise UsageError(what, fix="Use `decode=sample`.", parameter="decode")
    check_kinds(ignore)
    backend = None if model is None else _load(model, device)
    needs = None if model is None or backend is None else _needs_of(model, backend)
    recipe = recipe_for(path, corpus)
    listing = recipe.list_utterances(path)
    utterances = listing.utterances.at_channel(channel).in_order()
    problems = [
        *listing.problems,
        *check_names(utterances.ids),
        *check_case(utterances.ids),
        *check_layout(listing.left_out, recipe.layout),
        *check_speakers(utterances),
        *check_duplicates(utterances),
    ]
    for trial_path in trials:
        problems += check_trials(trial_path, path, listing)
    if against:
        others = {str(each): set(recipe_for(each).list_utterances(each).utterances.speakers) for each in against}
        problems += check_overlap(set(utterances.speakers), others)
    if expect is not None:
        problems += check_counts(utterances, expect, published_counts()[expect])
    readable = utterances.where(np.fromiter(map(is_utf8, utterances.ids), bool, len(utterances)))
    is_decoded = _choose_decoded(len(readable), decode)
    seconds, contents, n_decoded = None, Contents(), 0
    if decode is not Decode.NONE:
        found = inspect_files(readable, is_decoded=is_decoded, needs=needs, jobs=jobs, on_progress=on_progress)
        seconds, contents, n_decoded = found.seconds, found.contents, found.n_decoded
        problems += found.problems
        problems += check_rates(str(path), readable.ids, found.rates)
        problems += check_same_audio(readable, found.traces, jobs=jobs or default_jobs(), on_progress=on_compared)
    voices = None
    if backend is not None:
        from mrlspk.workflows.find_wrong_speakers import find_wrong_speakers  # loads what embeds

        voices = find_wrong_speakers(backend, readable, cache_dir=cache_dir, on_progress=on_embedded)
        problems += voices.problems
    ignored = Counter(each.kind for each in problems if each.kind in ignore)
    problems = [each for each in problems if each.kind not in ignore]
    problems.sort(key=lambda problem: problem.severity)
    problems = [replace(each, where=printable(each.where), message=printable(each.message)) for each in problems]
    return CorpusReport(
        path,
        recipe.name,
        speakers=len(utterances.speakers),
        utterances=len(utterances),
        seconds=seconds,
        decoded=n_decoded,
        problems=tuple(problems),
        left_out=tuple(each.within(path) for each in listing.all_left_out()),
        needs=needs,
        contents=contents,
        files_per_speaker=utterances.by_speaker().sizes(),
        ignored=dict(sorted(ignored.items())),
        excluded=excluded_utterances(problems, utterances.ids),
        voices=voices,
    )


def check_kinds(kinds: Iterable[str]) -> None:
    """Refuse what is no kind of problem.

    Raises:
        UsageError: If one is none; it names the nearest.
    """
    for kind in kinds:
        if kind not in KINDS:
            what = f"{shorten(kind)!r} is no kind of problem{did_you_mean(_nearest(kind, KINDS))}"
            raise UsageError(what, fix=f"Kinds: {', '.join(sorted(KINDS))}.", parameter="ignore")


def _nearest(typed: str, names: Iterable[str]) -> str | None:
    """Return the first name that begins as typed, else the most similar one, if there is any."""
    known = list(names)
    begun = [name for name in known if typed and name.startswith(typed)]
    return next(iter(begun or get_close_matches(typed, known, 1, 0.5)), None)


def _load(model: ModelFile, device: str) -> Backend:
    from mrlspk.inference.backend_registry import load_backend  # a corpus is checked without a runtime

    return load_backend(model, device=device).backend


def _needs_of(model: ModelFile, backend: Backend) -> AudioNeeds:
    return AudioNeeds(model.typed, backend.sample_rate, backend.min_samples)


def _choose_decoded(n_files: int, decode: Decode) -> NDArray[np.bool_]:
    """Return for each file whether it is decoded; a sample is drawn with a fixed seed."""
    chosen = np.full(n_files, decode is not Decode.NONE)
    if decode is Decode.SAMPLE and n_files > N_SAMPLED:
        chosen[:] = False
        chosen[np.random.default_rng(SAMPLE_SEED).choice(n_files, N_SAMPLED, replace=False)] = True
    return chosen
