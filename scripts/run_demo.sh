#!/usr/bin/env bash
# Set everything up and run the main job: the whole pipeline on data/demo, through Dagster.
# Safe to run twice: what is installed, encoded or trained already is not done again.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment
say "Running the pipeline: dataset demo, variant item_decoder"
exec "$environment/bin/tiger" run demo item_decoder "$@"
