# Sourced by run_demo.sh and run_tests.sh: creates or updates the virtual environment in .venv.
#
# Set TIGER_PYTHON to choose an interpreter (3.10 to 3.14), TIGER_FAISS to `cpu` or `gpu` to choose
# the FAISS build (default: `gpu` where nvidia-smi finds a GPU, else `cpu`).

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
environment="$checkout/.venv"

say() { printf '\n== %s\n' "$*"; }

fail() { printf '\nerror: %s\n' "$*" >&2; exit 1; }

# `install_debian_packages NAME...` installs where that is possible without asking, else fails.
install_debian_packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  say "Installing Debian packages: $*"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

python_fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
    2>/dev/null
}

find_python() {
  for candidate in ${TIGER_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python3.14}; do
    if python_fits "$candidate"; then command -v "$candidate"; return; fi
  done
  return 1
}

# `prepare_environment EXTRA...` makes .venv hold this project and its extras, as constraints.txt
# pins them. Does nothing when that is already so.
prepare_environment() {
  local build=${TIGER_FAISS:-cpu} python extras stamp
  [ -z "${TIGER_FAISS:-}" ] && nvidia-smi >/dev/null 2>&1 && build=gpu
  extras=$(IFS=,; echo "$build,$*"); extras=${extras%,}
  stamp="$extras $(cat "$checkout/pyproject.toml" "$checkout/constraints.txt" | cksum)"
  if [ -x "$environment/bin/python" ] && grep -qxF "$stamp" "$environment/installed" 2>/dev/null; then
    say "The virtual environment $environment is up to date"
    return
  fi
  if [ ! -x "$environment/bin/python" ]; then
    python=$(find_python) || { install_debian_packages python3 python3-venv && python=$(find_python); } \
      || fail "no Python 3.10 to 3.14 with venv found. Install one (Debian: apt install python3-venv) or name it in TIGER_PYTHON."
    say "Creating the virtual environment $environment with $($python --version)"
    "$python" -m venv "$environment"
  fi
  say "Installing tiger_pipeline[$extras] into $environment (some minutes the first time)"
  constrain "$environment/constraints.txt"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$environment/constraints.txt" --editable "$checkout[$extras]" \
    || fail "the installation failed; see above. Remove $environment to start afresh."
  echo "$stamp" >> "$environment/installed"
}

# The pins were made with Python 3.11; some of them have no release for 3.10, which follows the
# ranges of pyproject.toml instead.
constrain() {
  if "$environment/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    cp "$checkout/constraints.txt" "$1"
  else
    : > "$1"
  fi
}
