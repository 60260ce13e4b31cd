#!/usr/bin/env bash
# Set up, then run every check; the first that fails ends it. --quick leaves out the tests marked process or slow.
# Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh

# The tests of reports open them in the system's Chromium, and are skipped where there is none.
ensure_chromium() {
  local name
  for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && return
  done
  command -v apt-get >/dev/null || return 0
  echo "test: installing Chromium" >&2
  install_packages chromium || echo "test: without Chromium; the tests of reports in a browser are skipped" >&2
}

# The tests of encodings write audio with the tools of each format, and are skipped where there are none.
ensure_audio_tools() {
  type -P ffmpeg flac lame mpg123 oggdec oggenc opusdec opusenc sox speexenc >/dev/null && return
  command -v apt-get >/dev/null || return 0
  echo "test: installing audio tools" >&2
  install_packages ffmpeg flac lame libsox-fmt-all mpg123 opus-tools sox speex vorbis-tools ||
    echo "test: without audio tools; the tests of encodings are skipped" >&2
}

chosen=()
if [ "${1:-}" = --quick ]; then
  shift
  chosen=(-m "not process and not slow")
fi

tools=
if [ ${#chosen[@]} -eq 0 ]; then
  { ensure_chromium && ensure_audio_tools; } & # while .venv is made
  tools=$!
fi
scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

ruff check --quiet
ruff format --check --quiet
lint-imports
# The types are checked while tests wait for processes of their own.
nice scripts/check_types.sh &
types=$!
trap 'kill "$types" 2>/dev/null || true' EXIT
[ -z "$tools" ] || wait "$tools"

# Three at a time on two cores, as many tests wait; file by file, the longest first (tests/conftest.py), one thread each.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
failed=0
pytest --ignore=tests/benchmarks --benchmark-disable --numprocesses=3 --dist=loadfile --no-loadscope-reorder \
  "${chosen[@]}" "$@" || failed=$?
if ! wait "$types"; then
  echo "test: mypy found errors, shown above" >&2
  failed=1
fi
exit "$failed"
