#!/usr/bin/env bash
# Set up, then check, train, evaluate, compare and embed on a corpus of synthetic voices.
# Run it again at will: the corpus is kept and each run gets its own folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

synthetic="Synthetic voices prove an installation and say nothing about accuracy."
corpus=demo-corpus
run=demo-$(date +%Y%m%d-%H%M%S)

printf '%s\n' "$synthetic"
if [ ! -e "$corpus/trials.txt" ]; then
  show mrlspk data demo "$corpus"
fi
show mrlspk data check "$corpus/train"
show mrlspk train --config configs/demo.yaml --set "logging.run_name=$run"
show mrlspk eval "checkpoints/$run/best.pt"
show mrlspk compare "checkpoints/$run/best.pt" "checkpoints/$run/last.pt"
recordings=("$corpus"/test/*/*/*.m4a)
show mrlspk embed "${recordings[0]}" --model "checkpoints/$run/best.pt" --dim 64

cat <<END

The installation works. $synthetic

Next, with a folder of your own that has a subfolder for each speaker (here YOUR-SPEECH), type:

  export PATH="$PWD/.venv/bin:\$PATH"
  mrlspk data check YOUR-SPEECH

It says what to type after it. One recording: mrlspk embed RECORDING
END
