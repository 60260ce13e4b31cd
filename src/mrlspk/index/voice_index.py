"""Enrol, search and identify voices from Python: ``mrlspk.VoiceIndex``."""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mrlspk import load
from mrlspk.config.base import Channel
from mrlspk.config.evaluation import SpeechMode
from mrlspk.errors import UsageError
from mrlspk.index.deciding import FALSE_ACCEPT_RATE, MARGIN, DecisionOptions
from mrlspk.index.enrolment.enrol import Enrolled
from mrlspk.index.enrolment.metadata import VoiceMetadata
from mrlspk.index.enrolment.profiles import ProfileLimit
from mrlspk.index.enrolment.refusals import MIN_SPEECH_SECONDS
from mrlspk.index.enrolment.sources import AudioToEnrol, audio_of_folder, audio_of_name, audio_of_table
from mrlspk.index.index_model import IndexModel, LoadEncoder, Model
from mrlspk.index.new_settings import Choices, settings_of_model, settings_of_vectors
from mrlspk.index.searched_voices import SearchedVoices
from mrlspk.index.store.store import VoiceStore
from mrlspk.vectors.loading import open_vectors

CUT_SECONDS = (2.0, 4.0, 8.0)

if TYPE_CHECKING:
    from mrlspk.index.decisions.fitting import CalibrationReport
    from mrlspk.index.enrolment.audio import OnDone
    from mrlspk.index.evaluating import IndexEvaluation, KnownRecordings
    from mrlspk.index.funnel.tuning import TuneReport
    from mrlspk.inference.embed_many import Audio


class VoiceIndex(SearchedVoices):
    """Voices in a folder on disk: enrol them, and find whose voice a recording is.

    Threads may share an index. After a fork, and in a process that it is sent to, it opens its files anew. One process
    changes an index at a time, the others wait up to 30 s; readers never wait. The model is loaded when audio is
    embedded first.

    Args:
        store: The index on disk.
        model: Path, name or encoder of its model; None for the one that the index names.
        load: Loads an encoder by path or name.
    """

    def __init__(self, store: VoiceStore, model: Model | None = None, *, load: LoadEncoder = load) -> None:
        super().__init__(store, IndexModel(model, load))
        self._given = model, load

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Path, Model | None]]:
        """Let another process open the index anew."""
        model, load = self._given
        return partial(type(self).open, load=load), (self.store.folder.absolute(), model)

    @classmethod
    def create(
        cls,
        folder: str | PathLike[str],
        model: Model | None = None,
        *,
        vectors: str | PathLike[str] | None = None,
        dim: int | None = None,
        dims: Sequence[int] | None = None,
        speech: SpeechMode | None = None,
        channel: Channel = "mix",
        profiles: ProfileLimit = 1,
        load: LoadEncoder = load,
    ) -> Self:
        """Create an index without voices in a new folder, for recordings or for vectors.

        Args:
            folder: A new or empty folder; only its owner can read it.
            model: Embeds the recordings: a path, a name that `mrlspk.load` takes, or an encoder.
            vectors: In place of a model: a vector file whose width and model the index takes; it is not enrolled.
            dim: Width to store; the full one by default.
            dims: Without a model: widths that searches may compare, beside the stored one.
            speech: Embed the speech that a detector finds (``auto``, the default, ``silero``) or ``all``.
            channel: Of a recording: ``mix``, or a number from 0.
            profiles: Vectors of a voice: 1, a number, or ``auto``: one, and more for conditions that are far apart.
            load: Loads an encoder by path or name.

        Raises:
            MrlspkError: If the folder holds files, or the model cannot be loaded.
            UsageError: If the model does not have the width, or there is neither model nor width.
        """
        if model is not None and vectors is not None:
            raise UsageError("expected a model or vectors, got both", parameter="vectors")
        choices = Choices(speech, channel, profiles)
        if model is None:
            file = None if vectors is None else open_vectors(Path(vectors))
            settings = settings_of_vectors(file, choices, dim=dim, dims=dims)
        else:
            named = model if isinstance(model, str | PathLike) else None
            model = load(str(model)) if isinstance(model, str | PathLike) else model
            settings = settings_of_model(model, named, choices, dim=dim)
        return cls(VoiceStore.create(Path(folder), settings), model, load=load)

    @classmethod
    def open(cls, folder: str | PathLike[str], model: Model | None = None, *, load: LoadEncoder = load) -> Self:
        """Open an index; neither vectors nor model are read yet.

        Args:
            folder: Of the index.
            model: If it is not where it was when the index was created: a path, a name or an encoder.
            load: Loads an encoder by path or name.

        Raises:
            MrlspkError: If the folder is no index, or one of a newer version.
        """
        return cls(VoiceStore.open(Path(folder)), model, load=load)

    def add(
        self,
        name: str,
        *audio: "Audio",
        metadata: VoiceMetadata | None = None,
        sample_rate: int | None = None,
        min_speech_seconds: float = MIN_SPEECH_SECONDS,
    ) -> Enrolled:
        """Add recordings to a voice; if there is none of this name, enrol it.

        The vector of a voice is the mean of those of its recordings, weighted by seconds of speech. What is added is on
        the disk when the call returns.

        Args:
            name: Of the voice.
            *audio: Paths, or samples (samples,) in [-1, 1].
            metadata: Texts, numbers, booleans and None by key; merged into that of the voice.
            sample_rate: Of samples, Hz; default: 16,000.
            min_speech_seconds: Recordings with less speech are refused.

        Raises:
            DataError: If every recording is refused: it is silent, has too little speech, or cannot be read.
            UsageError: If no voice can have the name or the metadata.
            MrlspkError: If the model cannot be loaded, or the index cannot be written.
        """
        if not audio:
            raise UsageError("expected one recording or more, got none", parameter="audio")
        if any(isinstance(each, list | tuple) and each and isinstance(each[0], str | PathLike) for each in audio):
            raise UsageError(
                "expected recordings, got a list of them", fix="Give them one by one: `add(name, *paths)`."
            )
        wanted = audio_of_name(name, (), metadata)
        return self._enrol([name.strip()] * len(audio), audio, wanted, min_speech_seconds, sample_rate=sample_rate)

    def add_folder(
        self,
        folder: str | PathLike[str],
        *,
        min_speech_seconds: float = MIN_SPEECH_SECONDS,
        on_done: "OnDone | None" = None,
    ) -> Enrolled:
        """Add the recordings of a folder of speakers: ``FOLDER/NAME/…/file``.

        Args:
            folder: Its subfolders are named as the voices.
            min_speech_seconds: As of `add`.
            on_done: Called with (recordings done, all recordings).

        Raises:
            DataError: If it holds no audio in subfolders, or every recording is refused.
            MrlspkError: As of `add`.
        """
        return self._enrol_files(audio_of_folder(Path(folder)), min_speech_seconds, on_done)

    def add_table(
        self,
        table: str | PathLike[str],
        *,
        min_speech_seconds: float = MIN_SPEECH_SECONDS,
        on_done: "OnDone | None" = None,
    ) -> Enrolled:
        """Add the recordings of a CSV or TSV table with the columns ``name`` and ``path``; the others are metadata.

        Args:
            table: A relative path in it starts at the working directory, or else at the folder of the table.
            min_speech_seconds: As of `add`.
            on_done: Called with (recordings done, all recordings).

        Raises:
            DataError: If it is no such table, which is told by line, or every recording is refused.
            MrlspkError: As of `add`.
        """
        return self._enrol_files(audio_of_table(Path(table)), min_speech_seconds, on_done)

    def add_vectors(
        self,
        vectors: str | PathLike[str],
        *,
        speakers: str | PathLike[str] | None = None,
        ids: str | PathLike[str] | None = None,
        min_speech_seconds: float = MIN_SPEECH_SECONDS,
    ) -> Enrolled:
        """Add the vectors of a file; its memory does not grow with the file.

        Args:
            vectors: .npz, .npy, .ark, .scp, .parquet or .jsonl, of `mrlspk embed` or another toolkit.
            speakers: Speaker by id: Kaldi's utt2spk or a table. None: the part of an id before its first ``/``.
            ids: Ids of the rows of an .npy file, one per line; None for ``NAME.ids.txt`` beside it.
            min_speech_seconds: Rows with less speech are refused, as far as a file of `mrlspk embed` says so.

        Raises:
            DataError: If they are vectors of another model or of other speech, or some have no direction or speaker.
            MrlspkError: If the index cannot be written.
        """
        from mrlspk.index.enrolling import enrol_vectors

        return enrol_vectors(
            self.store,
            Path(vectors),
            speakers=None if speakers is None else Path(speakers),
            ids=None if ids is None else Path(ids),
            min_speech_seconds=min_speech_seconds,
        )

    def calibrate(
        self,
        recordings: str | PathLike[str] | None = None,
        *,
        dims: Sequence[int] | None = None,
        cut_seconds: Sequence[float] = CUT_SECONDS,
        on_done: "OnDone | None" = None,
    ) -> "CalibrationReport":
        """Fit thresholds to the voices enrolled, each recording against its voice without it, and keep them.

        Recordings whose files are still there are also cut, so that decisions on short recordings are right.

        Args:
            recordings: Further recordings to fit to, as of `evaluate`.
            dims: Widths; all of the index by default.
            cut_seconds: Seconds of speech to cut to; none for an index without a model.
            on_done: Called with (recordings done, all recordings).

        Raises:
            DataError: If fewer than 20 voices have two recordings or more.
            MrlspkError: If the model cannot be loaded; with neither ``recordings`` nor ``cut_seconds`` it is not.
        """
        from mrlspk.index.calibrating import calibrate_store

        known = None if recordings is None else self._read_known(recordings, MIN_SPEECH_SECONDS, on_done)
        has_model = self._given[0] is not None or self.settings.model is not None
        cuts = cut_seconds if has_model else ()
        return calibrate_store(self.store, self._model, dims=dims, known=known, cut_seconds=cuts, on_done=on_done)

    def evaluate(
        self,
        recordings: str | PathLike[str] | None = None,
        *,
        vectors: str | PathLike[str] | None = None,
        speakers: str | PathLike[str] | None = None,
        ids: str | PathLike[str] | None = None,
        dims: Sequence[int] | None = None,
        false_accept_rate: float = FALSE_ACCEPT_RATE,
        margin: float = MARGIN,
        min_speech_seconds: float = MIN_SPEECH_SECONDS,
        on_done: "OnDone | None" = None,
    ) -> "IndexEvaluation":
        """Measure how often speakers are identified, and others are taken for a voice: open-set identification.

        Recordings that are enrolled are left out.

        Args:
            recordings: A folder of speakers, ``FOLDER/NAME/…/file``, or a table as of `add_table`. A speaker whose name
                no voice has is not enrolled; there must be some of both kinds.
            vectors: In place of them, with ``speakers`` and ``ids``: as of `add_vectors`.
            speakers: As of `add_vectors`.
            ids: As of `add_vectors`.
            dims: Widths; all of the index by default.
            false_accept_rate: Of the decisions, if the index is calibrated.
            margin: Likewise.
            min_speech_seconds: Recordings with less speech are left out.
            on_done: Called with (recordings done, all recordings).

        Raises:
            DataError: If there are no recordings of enrolled speakers, or none of others.
            MrlspkError: If the model cannot be loaded.
        """
        from mrlspk.index.evaluating import evaluate_known

        if (recordings is None) == (vectors is None):
            raise UsageError("expected recordings or vectors", fix="Give either `recordings` or `vectors`.")
        if recordings is not None:
            known = self._read_known(recordings, min_speech_seconds, on_done)
        else:
            from mrlspk.index.known_vectors import read_known_vectors

            paths = [None if each is None else Path(each) for each in (speakers, ids)]
            known = read_known_vectors(
                self.settings,
                Path(vectors or ""),
                speakers=paths[0],
                ids=paths[1],
                min_speech_seconds=min_speech_seconds,
            )
        return evaluate_known(self.store, known, dims=dims, options=DecisionOptions(false_accept_rate, margin))

    def _read_known(
        self, recordings: str | PathLike[str], min_speech_seconds: float, on_done: "OnDone | None"
    ) -> "KnownRecordings":
        from mrlspk.index.evaluating import read_known

        return read_known(
            self._model, self.settings, Path(recordings), min_speech_seconds=min_speech_seconds, on_done=on_done
        )

    def tune(self, *, recall: float = 0.999, apply: bool = True) -> "TuneReport":
        """Choose the shortlist by searches for recordings of the index's own voices: the fastest with this recall.

        Args:
            recall: Share of searches whose best voice is to be that of an exact search.
            apply: Use it from now on; False only measures.

        Raises:
            DataError: If no voice is enrolled.
            UsageError: If ``recall`` is no share.
            MrlspkError: If the shortlist cannot be written.
        """
        from mrlspk.index.tuning import tune_store

        return tune_store(self.store, recall, apply=apply)

    def _enrol_files(self, wanted: AudioToEnrol, min_speech_seconds: float, on_done: "OnDone | None") -> Enrolled:
        names = [each.name for each in wanted.recordings]
        paths = [each.path for each in wanted.recordings]
        return self._enrol(names, paths, wanted, min_speech_seconds, on_done=on_done)

    def _enrol(
        self,
        names: Sequence[str],
        audio: "Sequence[Audio]",
        wanted: AudioToEnrol,
        min_speech_seconds: float,
        *,
        sample_rate: int | None = None,
        on_done: "OnDone | None" = None,
    ) -> Enrolled:
        from mrlspk.index.enrolling import enrol_audio

        return enrol_audio(
            self.store,
            self._model,
            names,
            audio,
            wanted.metadata,
            sample_rate=sample_rate,
            min_speech_seconds=min_speech_seconds,
            on_done=on_done,
        )
