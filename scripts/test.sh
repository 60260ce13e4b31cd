#!/usr/bin/env bash
# Set up, then run every check; the first that fails ends it. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

ruff check --quiet
ruff format --check --quiet
mypy
lint-imports
pytest --ignore=tests/benchmarks "$@"
