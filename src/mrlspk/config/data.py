"""Sections ``data`` and ``features``: corpora, crops, augmentation and the feature store."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mrlspk.config.base import Amount, Channel, Count, CountOrZero, StrictModel

MOST_WEIGHT = 1000
MAX_SPEED_DENOMINATOR = 100  # speeds are resampling ratios of integers, rounded to 1 %


def _rising[Number: (int, float)](value: tuple[Number, Number]) -> tuple[Number, Number]:
    if value[0] > value[1]:
        raise ValueError(f"a range is [low, high], got {list(value)}")
    return value


Decibels = Annotated[float, Field(ge=-200, le=200)]
Range = Annotated[tuple[Decibels, Decibels], AfterValidator(_rising)]
Probability = Annotated[float, Field(ge=0, le=1)]
Talker = Annotated[int, Field(ge=1, le=100)]
Talkers = Annotated[tuple[Talker, Talker], AfterValidator(_rising)]
MaskCount = Annotated[int, Field(ge=0, le=100)]
MaskWidth = Annotated[int, Field(ge=1, le=10_000)]
MusanCategory = Literal["noise", "music", "speech"]


class CorpusEntry(StrictModel):
    """One of the corpora to train on."""

    path: Path = Field(description="Folder of speakers, or whatever file or folder a recipe reads.")
    corpus: str = Field(
        "auto", description="Recipe: auto, a name such as librispeech, or a pattern such as {speaker}_{session}_*.wav."
    )
    weight: float = Field(
        1.0,
        gt=0,
        le=MOST_WEIGHT,
        description="How often its utterances are used in an epoch; with speaker_balanced, how often its speakers are "
        "drawn against those of weight 1.",
    )


def _as_entries(value: Any) -> Any:
    """Return a mapping or a list of paths and mappings as a list of mappings; a path as it is."""
    if isinstance(value, dict):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple({"path": each} if isinstance(each, str | Path) else each for each in value)
    return value


def _kind_of(value: Any) -> str:
    return "[list]" if isinstance(value, tuple) else "[path]"


OnePath = Annotated[Path, Tag("[path]")]
Entries = Annotated[tuple[CorpusEntry, ...], Field(min_length=1), Tag("[list]")]
TrainingCorpora = Annotated[OnePath | Entries, Discriminator(_kind_of), BeforeValidator(_as_entries)]


class DataConfig(StrictModel):
    """Corpora, crops and augmentation."""

    train_dataset: TrainingCorpora = Field(
        Path("data/voxceleb2/dev/aac"),
        description="Training corpus: speaker/session/file, in any format that is read, or another corpus that is "
        "recognised; or a list of corpora, whose ids then begin with a name of their corpus.",
    )
    val_dataset: Path | None = Field(
        Path("data/voxceleb1/dev/wav"),
        description="Corpus of other speakers for validation; null: hold speakers out of train_dataset. The default is "
        "null if train_dataset is given.",
    )
    exclude: tuple[Path, ...] = Field(
        (),
        description="Lists of utterances to leave out of both corpora, as `mrlspk data check` writes them: an id in "
        "each line.",
    )
    vectors: tuple[Path, ...] = Field(
        (),
        description="Files of speaker vectors to train a head on, in place of train_dataset and val_dataset: .npz, "
        ".npy, .ark, .scp, .parquet or .jsonl. Keys about audio do not apply.",
    )
    val_vectors: tuple[Path, ...] = Field(
        (), description="Files of vectors of other speakers for validation; []: hold speakers out of vectors."
    )
    speakers: Path | None = Field(
        None,
        description="Speakers of the vectors: utt2spk, or a table with the columns id and speaker; null: the part of "
        "an id before its first /.",
    )
    n_validation_speakers: Count | None = Field(
        None,
        description="Validation speakers: held out of train_dataset or vectors, or taken from val_dataset or "
        "val_vectors; null: a fifth of those with two utterances, between 10 and 200, or up to 200 of val_dataset.",
    )
    n_validation_trials: Count = Field(10_000, description="Seeded validation trials, half of them target.")
    domain: str | None = Field(
        None,
        description="Column of validation_metadata, such as corpus, that divides the speakers into domains: each has "
        "its validation speakers and trials, and the verdict on a trained head asks each; null: one domain.",
    )
    validation_match: str | None = Field(
        None,
        description="Column of validation_metadata, such as language or gender, that must agree between the speakers "
        "of a non-target validation trial; null: any two speakers.",
    )
    validation_metadata: Path | None = Field(
        None, description="CSV, TSV or JSON lines with these columns for each speaker."
    )
    validation_seconds: float | None = Field(
        None,
        ge=0.1,
        le=86_400,
        description="Seconds from the middle of each validation utterance to score; null: all of it.",
    )
    sample_rate: Literal[16000] = Field(16000, description="Hz; audio at another rate is resampled.")
    channel: Channel = Field(
        "mix", description="Channel to train and validate on: left, right or a number from 0; mix: their average."
    )
    chunk_duration: float = Field(
        3.0, ge=0.1, le=3600, description="Seconds of a training crop; shorter files are repeated."
    )
    sampler: Literal["speaker_balanced", "shuffle"] = Field(
        "shuffle", description="speaker_balanced: sample speakers evenly; shuffle: every utterance once an epoch."
    )
    shuffle_window: Count | None = Field(
        None,
        description="Shards of which crops are mixed, and which are read, at a time (sampler shuffle); null: all.",
    )
    utterances_per_speaker: Count = Field(
        1, description="Crops of each speaker in a batch (speaker_balanced); Triplet needs 2 or more."
    )
    crops_per_epoch: Count | None = Field(None, description="Crops per epoch; null: one per utterance.")
    num_workers: Annotated[int, Field(ge=0, le=1024)] | None = Field(
        None, description="Decoding processes; null: one for each core, up to 8; 0: decode in the main process."
    )
    pin_memory: bool = Field(True, description="Page-locked batches if there is a GPU.")
    prefetch_factor: Annotated[int, Field(ge=1, le=1024)] = Field(
        2, description="Batches that each worker keeps ready."
    )
    max_unreadable: CountOrZero = Field(
        10,
        description="Training files that may be unreadable: crops of other files replace theirs, and a warning names "
        "each; the run stops at one more. 0: stop at the first.",
    )
    worker_timeout_seconds: Amount = Field(
        600.0, description="Time without a batch after which the decoding processes count as dead; 0: never."
    )

    augmentation: bool = Field(True, description="Augment training crops as the keys below say; false: not at all.")
    speed_perturbation: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field(
        (), description="Additional speeds, e.g. [0.9, 1.1]; each makes a new class of every speaker."
    )
    noise_probability: Probability = Field(0.3, description="Share of crops with Gaussian noise.")
    noise_snr_range: Range = Field((10.0, 30.0), description="Signal-to-noise ratio of Gaussian noise, dB.")
    volume_probability: Probability = Field(0.5, description="Share of crops with changed volume.")
    volume_range: Range = Field((-6.0, 6.0), description="Change of volume, dB.")
    musan_dataset: Path | None = Field(
        None, description="MUSAN, another folder of noise, or a file of `mrlspk data pack-noise`; null: none."
    )
    musan_probability: Probability = Field(0.5, description="Share of crops with recorded noise, music or talkers.")
    musan_shares: dict[MusanCategory, Amount] = Field(
        {"noise": 1.0, "music": 1.0, "speech": 1.0},
        description="Weight of each of MUSAN's categories; what is in none of their folders is noise.",
    )
    musan_snr_ranges: dict[MusanCategory, Range] = Field(
        {"noise": (0.0, 15.0), "music": (5.0, 15.0), "speech": (13.0, 20.0)},
        description="Signal-to-noise ratio of each category, dB; of speech, of each talker.",
    )
    musan_snr_range: Range | None = Field(
        None, description="Signal-to-noise ratio of all categories, dB; null: as musan_snr_ranges says."
    )
    musan_talkers: Talkers = Field((3, 7), description="Fewest and most talkers that are mixed, of speech.")
    rir_dataset: Path | None = Field(
        None,
        description="Room impulse responses: RIRS_NOISES, another folder, or a file of `mrlspk data pack-noise`; "
        "null: none.",
    )
    rir_probability: Probability = Field(0.5, description="Share of crops with a room response.")
    rir_shares: dict[Literal["simulated", "real"], Amount] | None = Field(
        None, description="Weight of the simulated and of the real responses of RIRS_NOISES; null: all responses alike."
    )
    telephone_probability: Probability = Field(
        0.0, description="Share of crops at 8 kHz with the band of a telephone, 300 to 3,400 Hz."
    )
    codec_probability: Probability = Field(0.0, description="Share of crops that pass through a codec.")
    codecs: Annotated[tuple[Literal["alaw", "mulaw", "gsm", "opus", "aac"], ...], Field(min_length=1)] = Field(
        ("alaw", "mulaw", "gsm", "opus", "aac"), description="Codecs, drawn evenly: alaw, mulaw, gsm, opus, aac."
    )
    spec_augment_probability: Probability = Field(
        0.0, description="Share of crops whose log-mel features are masked (SpecAugment) while the backbone is trained."
    )
    spec_augment_band_masks: MaskCount = Field(1, description="Masks over frequency in each of these crops.")
    spec_augment_max_bands: MaskWidth = Field(8, description="Mel bands of the widest of them.")
    spec_augment_frame_masks: MaskCount = Field(1, description="Masks over time in each of these crops.")
    spec_augment_max_frames: MaskWidth = Field(10, description="Frames of the widest of them.")
    augmentation_device: Literal["cpu", "auto", "cuda"] = Field(
        "cpu",
        description="Where rooms, noise and volume are applied: cpu: in the decoding processes; cuda: in batches on "
        "the GPU that trains; auto: on the GPU if there is one.",
    )

    @field_validator("musan_shares", "musan_snr_ranges", mode="before")
    @classmethod
    def fill_categories(cls, value: Any, info: ValidationInfo) -> Any:
        """Take the default of each category that is not given."""
        default = cls.model_fields[str(info.field_name)].default
        return default | value if isinstance(value, dict) else value

    @model_validator(mode="before")
    @classmethod
    def hold_out_of_own_corpus(cls, values: Any) -> Any:
        """Validate on speakers of a given training corpus, unless another corpus is given too."""
        is_own = isinstance(values, dict) and "train_dataset" in values and "val_dataset" not in values
        return values | {"val_dataset": None} if is_own else values

    @property
    def training_corpora(self) -> tuple[CorpusEntry, ...]:
        """The corpora to train on: one or several."""
        corpora = self.train_dataset
        return (CorpusEntry(path=corpora),) if isinstance(corpora, Path) else corpora

    @model_validator(mode="after")
    def check_validation_match(self) -> Self:
        """Refuse a column without a table, and a table without a column."""
        columns = {self.validation_match, self.domain} - {None}
        if bool(columns) != (self.validation_metadata is not None):
            raise ValueError("validation_match or domain, and validation_metadata go together: give both or none")
        return self

    @model_validator(mode="after")
    def check_vectors(self) -> Self:
        """Refuse keys that need vectors without them, and speeds with them."""
        for key in ("val_vectors", "speakers"):
            if getattr(self, key) and not self.vectors:
                raise ValueError(f"{key} needs vectors: give both or none")
        if self.vectors and self.speed_perturbation:
            raise ValueError("speed_perturbation needs audio: leave it empty to train on vectors")
        return self

    @model_validator(mode="after")
    def check_window(self) -> Self:
        """Refuse a window with an order that follows the speakers."""
        if self.shuffle_window is not None and self.sampler != "shuffle":
            raise ValueError(f"shuffle_window needs the sampler shuffle, got {self.sampler}")
        return self

    @model_validator(mode="after")
    def check_speeds(self) -> Self:
        """Refuse a speed that is repeated or is 1 when rounded to 1 %."""
        ratios = {Fraction(speed).limit_denominator(MAX_SPEED_DENOMINATOR) for speed in self.speed_perturbation}
        if len(ratios | {Fraction(1)}) != 1 + len(self.speed_perturbation):
            speeds = list(self.speed_perturbation)
            raise ValueError(f"speed_perturbation must list additional speeds once each, rounded to 1 %, got {speeds}")
        return self


class FeaturesConfig(StrictModel):
    """Feature store: pooled vectors of a frozen backbone, computed once."""

    folder: Path = Field(Path("features"), description="Folder of feature stores, one folder each.")
    crops_per_utterance: Count = Field(4, description="Augmented crops of each utterance, at each speed.")
    n_whole: Count = Field(20_000, description="Whole utterances, sampled from the corpus, to fit the rotation on.")
    dtype: Literal["float16", "float32"] = Field("float16", description="Number format of the stored vectors.")
    batch_size: Count = Field(64, description="Crops per forward pass of the backbone.")
