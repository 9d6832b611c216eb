#!/usr/bin/env bash
# Set everything up and pass the tests: format, lint, types, architecture, then pytest.
# Safe to run twice. Arguments go to pytest, for example: scripts/run_tests.sh -k trie
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment dev
cd "$checkout"
export PATH="$environment/bin:$PATH"

if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
  install_debian_packages chromium fonts-dejavu-core \
    || say "No Chromium found: the UI test will be skipped (Debian: apt install chromium)"
fi

if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null && ! command -v initdb >/dev/null; then
  install_debian_packages postgresql \
    || say "No Postgres found: the stack's test will be skipped (Debian: apt install postgresql)"
fi

say "ruff"; ruff format --check .; ruff check .
say "mypy"; mypy
say "import-linter"; lint-imports
# Two tests run side by side: more threads in each would only wait for one another.
export OMP_NUM_THREADS=1
say "pytest"; pytest -n 2 --dist loadfile "$@"
