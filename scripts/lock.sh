#!/usr/bin/env bash
# Rewrite requirements.lock from pyproject.toml: names, versions and hashes for every platform, no addresses.
# Arguments go to uv, for example --upgrade.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=(uv)
uv --version >/dev/null 2>&1 || uv=(.venv-tools/bin/uv)
"${uv[@]}" pip compile pyproject.toml --universal --python-version "$(cat .python-version)" --all-extras \
  --generate-hashes --no-annotate --no-emit-index-url --no-header --quiet --output-file requirements.lock "$@"
