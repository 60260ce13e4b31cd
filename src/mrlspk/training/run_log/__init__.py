"""Where a run is logged: always ``metrics.jsonl``, TensorBoard and Weights & Biases where they are wanted."""

from mrlspk.training.run_log.build import METRICS, build_run_log

__all__ = ["METRICS", "build_run_log"]
