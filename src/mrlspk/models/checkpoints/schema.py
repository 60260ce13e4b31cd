"""Name the entries of a checkpoint: what each holds, who writes it and who reads it.

A checkpoint is a dict by these names, of tensors and plain values. Names are a file format: they never change.
"""

from typing import Final

FORMAT_NAME: Final = "mrlspk"  # the value of `FORMAT` in every checkpoint of ours
LATEST_VERSION: Final = 2  # the version that is written; older ones are upgraded when they are read

# The network: written by `encoder_entries` into every checkpoint, read by `load_model`.
FORMAT: Final = "format"  # "mrlspk": tells our layout from published ones
FORMAT_VERSION: Final = "format_version"  # int: which upgrades the file needs
MRLSPK_VERSION: Final = "mrlspk_version"  # str: the version to install where the format is too new
ARCHITECTURE: Final = "architecture"  # dict: rebuilds the network
MODEL: Final = "model"  # state dict of the encoder, adapters merged

# The model: written by training, `rotate` and `convert`; kept when a checkpoint is converted, but for the verdict.
CONFIG: Final = "config"  # dict, the resolved configuration of the run: read by resume, `eval` and `find_origin`
VALIDATION: Final = "validation"  # dict, metrics of this very model on held-out speakers: read by `train`
CORPUS: Final = "corpus"  # dict, SHA-256 of training utterances and validation trials: read by resume and --init-from
CARD: Final = "card"  # dict, the model card: read by `train`, `pretrained add` and `find_origin`
CONVERTED_FROM: Final = "converted_from"  # dict, the file that was converted or rotated, and its terms: read for cards
ROTATION: Final = "rotation"  # dict, method, matrix and spectrum: read by `find_origin`
AVERAGED_EPOCHS: Final = "averaged_epochs"  # list of int, the epochs whose mean the weights are: read by `train`
VERDICT: Final = "verdict"  # dict, why best.pt is the trained head or the rotation: read by people

# The run: written by training, read by resume.
PROGRESS: Final = "progress"  # dict, epochs, steps and crops done, and the best epoch
CRITERION: Final = "criterion"  # state dict of the loss, the classifier weights: read by --init-from too
DRAWS: Final = "draws"  # state of the generator that draws the widths of a step; absent where none are drawn
OPTIMISER: Final = "optimiser"  # state dict
PRECISION: Final = "precision"  # state of the loss scale of fp16
RANDOM_STATES: Final = "random_states"  # list, the random generators of each process
PROCESSES: Final = "processes"  # dict, the number of processes and the effective batch
ADAPTERS: Final = "adapters"  # state dict of LoRA adapters and of the layers beneath them
TURN: Final = "turn"  # state dict of the rotation that a head run trains

# The start of a head run: written before its first step, repeated in each of its checkpoints.
OWN_HEAD: Final = "own_head"  # dict, weight and bias of the head before it was rotated: read by `find_origin`
BASELINES: Final = "baselines"  # dict, metrics of the rotation and of truncation: read by resume
START: Final = "start"  # str, the file that training starts from, rotation.pt or start.pt: read by resume

RUN_START: Final = (ROTATION, OWN_HEAD, BASELINES, START)  # the same in each checkpoint of a run
# Checked on reading: plain values only. State dicts are checked where they are loaded.
PLAIN: Final = (PROGRESS, VALIDATION, CORPUS, CARD, CONVERTED_FROM, ROTATION)
PORTABLE: Final = (CARD, VALIDATION, CORPUS, CONVERTED_FROM, ROTATION)  # describe the model, and outlive its run
AVERAGED: Final = (MODEL, CRITERION)  # state dicts whose mean an average takes
LAST_ONLY: Final = (OPTIMISER, PRECISION, RANDOM_STATES, PROCESSES, DRAWS)  # no average has them: it is not resumed
