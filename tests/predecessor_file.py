"""A configuration with every key of redimnet-mrl's public config.yaml, its values chosen to be none of our defaults."""

import yaml

TEXT = """
model:
  name: b1
  embed_dim: 160
  mrl_dims: [32, 96, 160]
  mrl_weights: [2.0, 1.0, 0.5]
  F: 72
  C: 12
  block_1d_type: att
  block_2d_type: basic_resnet
  pooling_func: TSTP
  out_channels: 384
  feat_type: pt_mel
loss:
  type: SubCenter
  margin: 0.35
  scale: 32.0
  easy_margin: true
  num_subcenters: 2
training:
  num_epochs: 12
  batch_size: 48
  accumulation_steps: 4
  max_grad_norm: 0
  learning_rate: 0.0005
  lr_scheduler: step
  warmup_epochs: 2
  min_lr: 0.00002
  optimizer: SGD
  weight_decay: 0.01
  betas: [0.8, 0.99]
  dropout: 0.2
  feat_agg_dropout: 0.05
data:
  train_dataset: speech/train
  val_dataset: speech/validation
  test_dataset: speech/held-out
  sample_rate: 16000
  chunk_duration: 2.5
  min_duration: 0.5
  augmentation: false
  noise_snr_range: [5, 12.5]
  volume_range: [-2, 4]
  num_workers: 3
  pin_memory: false
  prefetch_factor: 6
hardware:
  device: cuda:1
  mixed_precision: true
  compile: true
  distributed: true
  world_size: 4
  rank: 1
logging:
  log_dir: events/old
  tensorboard: false
  wandb: true
  wandb_project: voices
  wandb_run_name: third
  wandb_tags: [small, first]
  wandb_watch_model: true
  save_dir: runs/old
  save_interval: 2
  keep_last_n: 7
  save_best_only: true
  log_interval: 20
  val_interval: 3
evaluation:
  use_eer_validation: true
  use_eer_for_best_model: true
  test_datasets: {clean: speech/clean, noisy: speech/noisy}
  num_val_pairs_per_dataset: 250
  eval_all_dims_during_training: true
  metrics: [eer, mindcf]
  eer_threshold: auto
  test_pairs: lists/pairs.txt
  eval_all_dims: true
seed: 7
deterministic: true
advanced:
  use_pretrained: true
  model_name: b1
  train_type: ft_mix
  pretrained_dataset: vb2+vox2+cnc
  freeze_backbone_epochs: 4
  pretrained_checkpoint: models/start.pt
  progressive_mrl: true
  progressive_schedule: [3, 6]
  mixed_datasets: true
  dataset_sampling_weights: [0.5, 0.5]
"""

# The meaning of each key here, from the public code of redimnet-mrl and our own reference.
MEANT = {
    "seed": 7,
    "deterministic": True,
    "model": {
        "matryoshka_dims": [32, 96, 160],
        "matryoshka_weights": [2.0, 1.0, 0.5],
        "pretrained": {
            "model_name": "b1",
            "train_type": "ft_mix",
            "pretrained_dataset": "vb2+vox2+cnc",
            "pretrained_checkpoint": "models/start.pt",
        },
    },
    "head": {"start_decay": 0.0},
    "loss": {"type": "SubCenter", "margin": 0.35, "scale": 32.0, "easy_margin": True, "num_subcenters": 2},
    "training": {
        "num_epochs": 12,
        "batch_size": 48,
        "accumulation_steps": 4,
        "max_grad_norm": None,
        "learning_rate": 0.0005,
        "lr_scheduler": "step",
        "lr_step_epochs": 30,
        "lr_gamma": 0.1,
        "warmup_epochs": 2.0,
        "min_lr": 0.00002,
        "optimizer": "SGD",
        "weight_decay": 0.01,
        "betas": [0.8, 0.99],
        "freeze_backbone_epochs": 4,
    },
    "data": {
        "train_dataset": "speech/train",
        "val_dataset": "speech/validation",
        "chunk_duration": 2.5,
        "augmentation": False,
        "noise_snr_range": [10.0, 25.0],
        "volume_range": [-2.0, 4.0],
        "num_workers": 3,
        "pin_memory": False,
        "prefetch_factor": 6,
    },
    "hardware": {"device": "cuda:1", "precision": "bf16", "compile": True},
    "logging": {
        "log_dir": "events/old",
        "tensorboard": False,
        "wandb": True,
        "wandb_project": "voices",
        "wandb_run_name": "third",
        "wandb_tags": ["small", "first"],
        "wandb_watch_model": True,
        "save_dir": "runs/old",
        "save_interval": 2,
        "keep_last_n": 7,
        "log_interval": 20,
    },
    "evaluation": {
        "test_datasets": {"clean": "speech/clean", "noisy": "speech/noisy"},
        "n_generated_trials": 250,
    },
}

# What the whole file drops if training starts from a published model.
DROPPED = {
    *("model.name", "data.test_dataset", "hardware.distributed", "hardware.world_size", "evaluation.test_pairs"),
    *("model.embed_dim", "model.F", "model.C", "model.block_1d_type", "model.block_2d_type", "model.pooling_func"),
    *("model.out_channels", "model.feat_type", "training.dropout", "training.feat_agg_dropout", "data.min_duration"),
    *("hardware.rank", "logging.save_best_only", "logging.val_interval", "evaluation.use_eer_validation"),
    *("evaluation.eval_all_dims_during_training", "evaluation.metrics", "evaluation.eer_threshold"),
    *("evaluation.eval_all_dims", "advanced.progressive_mrl", "advanced.progressive_schedule"),
    *("advanced.mixed_datasets", "advanced.dataset_sampling_weights"),
}


def old_values(**changes):
    """Return the file's content, parsed, with keys of sections changed; one that is `...` is left out."""
    content = yaml.safe_load(TEXT)
    for section, entries in changes.items():
        for key, value in entries.items():
            content[section][key] = value
        content[section] = {key: value for key, value in content[section].items() if value is not ...}
    return content


def old_names():
    """Return every dotted key of the file."""
    for section, entries in old_values().items():
        if isinstance(entries, dict):
            yield from (f"{section}.{key}" for key in entries)
        else:
            yield section
