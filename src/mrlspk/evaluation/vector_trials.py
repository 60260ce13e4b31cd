"""Read trial lists and join them with the vectors of their utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mrlspk.data.trials import Trials, read_trials
from mrlspk.errors import UsageError
from mrlspk.evaluation.stored_vectors import StoredVectors
from mrlspk.evaluation.trial_list import NAMED, TrialList, TrialRequest, join_sources, one_each
from mrlspk.vectors.source import VectorSource
from mrlspk.vectors.speakers import require_speakers


def read_vector_trials(request: TrialRequest, stores: Sequence[StoredVectors]) -> tuple[TrialList, ...]:
    """Return the named trial lists, each utterance with a vector in every store.

    Args:
        request: The trials that the user names.
        stores: Vectors to score.

    Raises:
        UsageError: If no list is named, or folders of audio are given.
        DataError: If a list cannot be scored, or an utterance has no vector, or no speaker in given labels.
    """
    if not request.paths:
        raise UsageError("vectors are scored on trial lists", fix="Give `trials=FILE`.", parameter="trials")
    if request.audio_roots:
        raise UsageError("vectors need no audio", fix="Leave it out.", parameter="audio_root")
    given = one_each(request.enrolments, request.paths, "enroll", "files of enrolment models")
    enrolments: Sequence[Path | None] = given or [None] * len(request.paths)
    paths = [str(store.path) for store in stores]
    place = paths[0] if len(paths) == 1 else f"all of {', '.join(paths)}"

    def find(utterance_id: str) -> VectorSource | None:
        found = [store.find(utterance_id) for store in stores]
        return None if None in found else found[0]

    return tuple(
        join_sources(
            _with_speakers(read_trials(path, models), stores[0].labels),
            find,
            path.parent,
            NAMED,
            allow_missing=request.allow_missing,
            place=place,
            fix="Give vectors whose ids are those of the list",
        )
        for path, models in zip(request.paths, enrolments, strict=True)
    )


def _with_speakers(trials: Trials, labels: Mapping[str, str] | None) -> Trials:
    """Return the trials with the speakers of their utterances, and of models whose utterances have one speaker."""
    if labels is None:
        return trials
    speakers = require_speakers(trials.utterance_ids, labels, Path(trials.path))
    named = dict(zip(trials.utterance_ids, speakers, strict=True))
    for model, utterances in trials.enrolments.items():
        if len(found := {named[each] for each in utterances if each in named}) == 1:
            named[model] = found.pop()
    return replace(trials, speaker_by_id=named)
