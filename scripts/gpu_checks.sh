#!/usr/bin/env bash
# Run every check that needs a GPU; results go to OUT (default: gpu-checks).
# Environment: PYTHON, the interpreter with the dependencies (default: .venv/bin/python). Exits 1 if a check fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-.venv/bin/python}"
out="${OUT:-gpu-checks}"
mkdir -p "$out"
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
failed=0

check() {
  local name="$1"
  shift
  echo "gpu_checks: $name" >&2
  "$python" "$@" >"$out/$name.md" 2>"$out/$name.log" || { failed=1; tail -n 5 "$out/$name.log" >&2; }
}

# Predicted against measured peaks: the table of docs/gpu.md.
check memory scripts/check_gpu_profile.py --minutes 8
# Precision, TF32, channels-last, compilation and gradient checkpointing against plain steps, for docs/training.md.
check speed scripts/bench_training.py --config configs/scratch-small.yaml --rounds 5 --batch-size 64
# Recordings per second, embedded eagerly in fp32, as by default, compiled and in bf16, for docs/gpu.md.
check throughput scripts/bench_throughput.py --device cuda
# Crops augmented in batches on the GPU against those of the decoding processes, for docs/data.md.
speech="${MRLSPK_SHARED:-../shared}/speech"
if [[ -d "$speech" ]]; then
  check augmentation scripts/check_augmentation.py "$speech" --device cuda
else
  echo "gpu_checks: no $speech (set MRLSPK_SHARED): augmentation is not compared" >&2
fi
# One process against two, with synchronised BatchNorm, for docs/distributed.md.
if [[ "$("$python" -c 'import torch; print(torch.cuda.device_count())')" -ge 2 ]]; then
  check processes scripts/check_distributed.py --device cuda
else
  echo "gpu_checks: one GPU: two processes are not compared" >&2
fi
exit "$failed"
