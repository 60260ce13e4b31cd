"""Name the entries of a checkpoint: what each holds, who writes it and who reads it.

A checkpoint is a dict by these names, of tensors and plain values. Names are a file format: they never change.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

FORMAT_NAME: Final = "mrlspk"  # the value of `FORMAT` in every checkpoint of ours
LATEST_VERSION: Final = 3  # the version that is written; older ones are upgraded when they are read

# The network: written by `encoder_entries` into every checkpoint, read by `load_model`.
FORMAT: Final = "format"  # "mrlspk": tells our layout from published ones
FORMAT_VERSION: Final = "format_version"  # int: which upgrades the file needs
MRLSPK_VERSION: Final = "mrlspk_version"  # str: the version to install where the format is too new
ARCHITECTURE: Final = "architecture"  # dict: rebuilds the network
MODEL: Final = "model"  # state dict of the encoder, adapters merged

# The model: written by `train`, `rotate` and `convert`, kept by `convert`.
PROVENANCE: Final = "provenance"  # dict, a `Provenance`: read by `find_origin`
CONFIG: Final = "config"  # dict, the resolved configuration of the run: read by resume and `eval`
VALIDATION: Final = "validation"  # dict, metrics on held-out speakers, of a refitted model those before its refit
CORPUS: Final = "corpus"  # dict, SHA-256 of training utterances and validation trials: read by resume and --init-from
CARD: Final = "card"  # dict, the model card: read by `train`, `rotate`, `convert` and `pretrained add`
CONVERTED_FROM: Final = "converted_from"  # dict, the file that was converted or rotated, and its terms: read for cards
ROTATION: Final = "rotation"  # dict, method, matrix and spectrum: read by `find_origin`
TRIALS: Final = "trials"  # dict, folder of the audio and SHA-256 of the trials beside a rotated model: read by `eval`
SCORE_RANGES: Final = "score_ranges"  # list, ranges of scores of a model without a card: read by `verify`
BASE_MODEL: Final = "base_model"  # dict, content (bytes) and settings (text) of the model beneath a head: `--bundle`
TRANSFORM: Final = "transform"  # dict, whether it is centred, its power and order: read for cards

# Beside these in a best.pt: dropped when it is converted.
AVERAGED_EPOCHS: Final = "averaged_epochs"  # list of int, the epochs whose mean the weights are: read by `train`
VERDICT: Final = "verdict"  # dict, why best.pt is trained head, start or rotation: informational, no code reads it

# The run: written by training, read by resume.
PROGRESS: Final = "progress"  # dict, epochs, steps and crops done, and the best epoch
CRITERION: Final = "criterion"  # state dict of the loss, the classifier weights: read by --init-from too
DRAWS: Final = "draws"  # state of the generator that draws the widths of a step; absent if a step trains all widths
OPTIMISER: Final = "optimiser"  # state dict
PRECISION: Final = "precision"  # state of the loss scale of fp16
RANDOM_STATES: Final = "random_states"  # list, the random generators of each process
PROCESSES: Final = "processes"  # dict, the number of processes and the effective batch
ADAPTERS: Final = "adapters"  # state dict of LoRA adapters and of the layers beneath them
TURN: Final = "turn"  # state dict of the rotation that a head run trains

# The start of a head run: written before its first step, repeated in each of its checkpoints.
OWN_HEAD: Final = (
    "own_head"  # dict, weight and bias of the head before its rotation or transform: read by `find_origin`
)
BASELINES: Final = "baselines"  # dict, metrics of the rotation and of truncation: read by resume
START: Final = "start"  # str, the file that training starts from, rotation.pt or start.pt: read by resume
CLOSED_FORMS: Final = "closed_forms"  # dict, mean log EERs of rotation and start: read when the run ends
JUDGES: Final = "judges"  # list of str, held-out speakers that judge and do not choose the epoch: read by resume

RUN_START: Final = (
    ROTATION,
    OWN_HEAD,
    TRANSFORM,
    BASELINES,
    START,
    CLOSED_FORMS,
    JUDGES,
)  # the same in each checkpoint of a run
# Entries that must be plain values, checked on reading. State dicts are checked when they are loaded.
PLAIN: Final = (
    PROVENANCE,
    PROGRESS,
    VALIDATION,
    CORPUS,
    CARD,
    CONVERTED_FROM,
    ROTATION,
    TRANSFORM,
    TRIALS,
    SCORE_RANGES,
    CLOSED_FORMS,
    JUDGES,
)
# Entries that `convert` keeps.
PORTABLE: Final = (CARD, VALIDATION, CORPUS, CONVERTED_FROM, ROTATION, TRANSFORM, SCORE_RANGES, BASE_MODEL)
TYPED: Final = (MODEL, ARCHITECTURE, CONFIG, PROVENANCE)  # attributes of a loaded model; `contents` has the others
AVERAGED: Final = (MODEL, CRITERION)  # state dicts whose mean an average takes
LAST_ONLY: Final = (OPTIMISER, PRECISION, RANDOM_STATES, PROCESSES, DRAWS)  # no average has them: it is not resumed

type Kind = Literal["published", "converted", "adapter", "rotated", "head_run", "network_run", "unknown"]


class BaseModelFile(BaseModel):
    """The file of a base model: ``model`` is its name or path as given, relative to the working directory."""

    model_config = ConfigDict(frozen=True)

    model: str
    family: str | None = None
    sha256: str | None = None


class Provenance(BaseModel):
    """How a model was made, and from which one.

    - ``published``: not by mrlspk; a file of another layout.
    - ``converted``: a published model in our layout, by `pretrained convert` or `pretrained add`.
    - ``adapter``: adapters merged into a base model, by `pretrained convert --adapter`.
    - ``rotated``: a base model whose embedding was rotated, by `rotate`; ``rotation`` is its matrix. After a transform,
      ``own_head`` is the head before it.
    - ``head_run``: a head trained on a frozen base model. ``own_head`` is the head before its rotation; `convert` drops
      it, and the base model is then needed.
    - ``network_run``: a network trained from a base model; ``rotation``, if any, is how the run rotated its head first.
    - ``unknown``: older files that do not say.

    Attributes:
        kind: As above.
        base: The base model; None for random weights, or if it is not known.
        random_head: Whether a run replaced the head of the base model by a random one.
        problem: Why the base model of an older file is not known; None if it is.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    base: BaseModelFile | None = None
    random_head: bool = False
    problem: str | None = None

    def entry(self) -> dict[str, Any]:
        """Return the entry of a checkpoint: plain values."""
        return self.model_dump(mode="json")
