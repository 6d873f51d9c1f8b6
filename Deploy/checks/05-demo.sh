#!/usr/bin/env bash
# The demo delivers alerts: the synthetic ward, and a recording of $VIGIL_DATA (default ../shared/data) when it is there.
# limit: 240s
set -euo pipefail
cd "$(dirname "$0")/../.."
data="${VIGIL_DATA:-../shared/data}"

Deploy/demo --for 30s
recording="$data/bidmc_numerics/vitals.csv.zst"
if [ -r "$recording" ]; then
  Deploy/demo --input "$recording" --speed 30 --for 20s
else
  echo "skipped: the demo of a recording, $recording is not there (VIGIL_DATA names another folder)"
fi
