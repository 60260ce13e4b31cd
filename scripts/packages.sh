# Packages of the system, for scripts that source this file.

# Install packages of the system without a question; false where that is not possible.
install_packages() {
  local as_root=()
  if command -v brew >/dev/null; then
    brew install --quiet "$@" >&2
  elif command -v apt-get >/dev/null; then
    if [ "$(id -u)" -ne 0 ]; then
      sudo -n true 2>/dev/null || return 1
      as_root=(sudo -n)
    fi
    (
      flock 9 # one caller at a time, as apt-get refuses a second
      ${as_root[@]+"${as_root[@]}"} apt-get -qq update >&2
      ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends "$@" >/dev/null
    ) 9>"${TMPDIR:-/tmp}/mrlspk-packages.lock"
  else
    return 1
  fi
}
