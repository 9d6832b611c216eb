#!/usr/bin/env bash
# Look the pinned dependencies (constraints.txt) up in PyPI's list of known vulnerabilities.
# Needs the network. Exits with 1 when one is found.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment
say "Installing pip-audit beside it, so that nothing of the environment changes"
"$environment/bin/python" -m venv "$environment/audit"
"$environment/audit/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit
say "pip-audit"
exec "$environment/audit/bin/pip-audit" --disable-pip --no-deps \
  --requirement "$checkout/constraints.txt" "$@"
