#!/usr/bin/env bash
# Check src, examples and the blocks of docs/python-api.md with mypy --strict.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
page=$folder/python_api_page.py
.venv/bin/python tests/conformance/python_page.py >"$page"
.venv/bin/mypy src examples "$page"
