#!/usr/bin/env bash
# Make .venv: Python 3.12, every dependency at its locked version.
# Can be run again; where all is in place it does nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh

tools=.venv-tools # holds uv where the machine has none
stamp_file=.venv/.mrlspk-setup

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# What .venv is made from and where it stands; a change of any of it means work.
stamp() {
  pwd
  cat requirements.lock pyproject.toml .python-version scripts/setup.sh scripts/packages.sh | cksum
}

find_uv() {
  if uv --version >/dev/null 2>&1; then
    uv=(uv)
  elif [ -x "$tools/bin/uv" ]; then
    uv=("$tools/bin/uv")
  elif python3 -m uv --version >/dev/null 2>&1; then
    uv=(python3 -m uv)
  else
    return 1
  fi
}

# Put uv into a folder of its own, which git ignores: with pip where Python is, else with uv's own installer.
install_uv() {
  say "installing uv into $tools"
  mkdir -p "$tools"
  echo '*' >"$tools/.gitignore"
  if python3 -m venv "$tools" >/dev/null 2>&1 && "$tools/bin/python" -m pip install --quiet uv; then
    return
  fi
  command -v curl >/dev/null || install_packages curl ca-certificates || fail "uv needs curl or Python 3 with venv: install one"
  curl -LsSf https://astral.sh/uv/install.sh | env UV_UNMANAGED_INSTALL="$PWD/$tools/bin" sh >&2
}

make_environment() {
  local version
  version=$(cat .python-version)
  if ! .venv/bin/python -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" >/dev/null 2>&1; then
    rm -rf .venv
    "${uv[@]}" venv --quiet --python "$version" .venv
  fi
  "${uv[@]}" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
  "${uv[@]}" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
}

if [ "$(cat "$stamp_file" 2>/dev/null)" = "$(stamp)" ]; then
  exit 0
fi
say "making .venv; the first time takes some minutes"
if ! find_uv; then
  install_uv || true
  find_uv || fail "uv could not be installed; install it by hand, then run this again"
fi
make_environment
stamp >"$stamp_file"
