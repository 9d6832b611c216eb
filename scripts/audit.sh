#!/usr/bin/env bash
# Look the pinned dependencies (constraints.txt) up in PyPI's list of known vulnerabilities.
# Needs the network. Exits with an error when one is found, or when one cannot be looked up.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

say "Installing pip-audit into an environment of its own, $environment/audit"
python=$(find_python) || fail "no Python 3.10 to 3.14 with venv found; name one in TIGER_PYTHON."
"$python" -m venv "$environment/audit"
"$environment/audit/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit
say "pip-audit"
exec "$environment/audit/bin/pip-audit" --strict --disable-pip --no-deps \
  --requirement "$checkout/constraints.txt" "$@"
