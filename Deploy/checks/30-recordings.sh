#!/usr/bin/env bash
# Every recording of $VIGIL_DATA (default ../shared/data) replays to its end, and the books balance: samples in = stored +
# quarantined + duplicates, exactly.
# limit: 240s
set -euo pipefail
cd "$(dirname "$0")/../.."
data="${VIGIL_DATA:-../shared/data}"
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"

found=0
for file in "$data"/*/vitals.csv.zst; do
  [ -r "$file" ] || continue
  found=$((found + 1))
  "$vigil" replay "$file" --set adult-ward --alerts /dev/null --json 2>/dev/null | tail -n 1 | python3 -c '
import json, sys
name = sys.argv[1]
s = json.load(sys.stdin)
assert s["samples"] == s["stored"] + s["quarantined"] + s["duplicates"], (name, s)
assert s["samples"] > 0, name
print("{name}: {patients} patients, {samples} samples = {stored} stored + {quarantined} quarantined + {duplicates} "
      "duplicates; {alerts} alerts, {suppressed} suppressed, {samples_per_second}/s".format(name=name, **s))
' "$(basename "$(dirname "$file")")"
done
if [ "$found" = 0 ]; then
  echo "skipped: no recordings in $data (VIGIL_DATA names another folder)"
else
  echo "$found recordings replayed to their end, books balanced"
fi
[ -c /dev/null ] && [ ! -L /dev/null ] || { echo "a device was replaced by an output written to it"; exit 1; }
