#!/usr/bin/env bash
# Alarms of bedside monitors that experts judged: every one is told, none is cancelled, and what the numerics say about them is worth
# what docs/verification.md says.
# limit: 60s
set -euo pipefail
cd "$(dirname "$0")/../.."
data="${VIGIL_DATA:-../shared/data}"
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"

if [ ! -r "$data/cinc2015_alarms/labels.csv" ]; then
  echo "skipped: no judged alarms in $data/cinc2015_alarms (VIGIL_DATA names another folder)"
  exit 0
fi
python3 Benchmarks/verification.py --data "$data" --vigil "$vigil" --minimum 75
