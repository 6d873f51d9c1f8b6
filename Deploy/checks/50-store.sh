#!/usr/bin/env bash
# Kills while an encrypted store is written, sealed, archived, backed up and has its keys rotated: `vigil verify` finds nothing wrong, nothing
# acknowledged is lost, and restores to random moments equal replays to those moments. Damage is found, put aside and
# repaired; a truncated log is said aloud.
# VIGIL_KILLS=200 runs that many kills instead of 16 (VIGIL_KILLS=200 Deploy/checks/50-store.sh, about ten minutes).
# limit: 170s
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
python3 store.py
