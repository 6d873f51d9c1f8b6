#!/usr/bin/env bash
# The benchmark program builds in release and every subcommand that needs no broker does its work on a tiny input: nothing
# is timed here, only that a measurement can be made.
# limit: 300s
set -euo pipefail
cd "$(dirname "$0")/../.."
swift build --configuration release --product VigilBenchmarks 2>&1 | tail -n 1
program="$(swift build --configuration release --show-bin-path)/VigilBenchmarks"

# tiny WORD ARGUMENTS...: runs it and looks for a word that only a finished measurement prints.
tiny() {
  local word=$1 output
  shift
  output="$("$program" "$@")" || { echo "FAILED: $* ended with status $?" >&2; exit 1; }
  grep -q "$word" <<<"$output" || { printf 'FAILED: %s printed\n%s\n' "$*" "$output" >&2; exit 1; }
  if grep -qi "wrong\|failed" <<<"$output"; then printf 'FAILED: %s printed\n%s\n' "$*" "$output" >&2; exit 1; fi
  echo "$*: ok"
}

tiny "checksum" ring 10000
tiny "SenML, 4 records" decode 1000
tiny "sealer append" sealing 4 100
tiny "teach the built-in set" states
tiny "samples a second" storage --sets synthetic,simulator --patients 1 --hours 1 --repeats 1 --rows 600
tiny "times what the tables hold" ward --patients 50 --seconds 20 --paced 1 --idle 1
tiny "allocations each" engine 20000

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
awk 'BEGIN { print "patient_id,time_s,hr"; for (s = 0; s < 300; s++) print "p1," s "," 60 + s % 20 }' >"$folder/vitals.csv"
tiny "bytes a patient" engine --input "$folder/vitals.csv" --set adult-icu
tiny "plain replays of the rule" sweep "$folder/vitals.csv" --set adult-ward --rule hr-high --settings 4

# The same work: one patient's heart rate steps from 60 to 150 for two minutes. The mean of [e - 60 s, e) is above 120 from
# e = 110 s on (50 of 60 values), so the alert is due at 140 s.
awk 'BEGIN {
  for (s = 0; s < 300; s++) {
    t = 1750000020000 + s * 1000
    printf "{\"patient\":\"a\",\"device\":\"a-hr\",\"time\":%.0f,\"code\":\"HR\",\"value\":%s}\n", t, (s >= 60 && s < 180 ? "150.0" : "60.0")
    printf "{\"patient\":\"b\",\"device\":\"b-hr\",\"time\":%.0f,\"code\":\"HR\",\"value\":72.5}\n", t
  }
}' >"$folder/in.jsonl"
tiny "600 samples, 1 alerts, 0 refused" samework "$folder/in.jsonl" "$folder/out.jsonl"
echo '{"patient":"a","code":"HR","start":1750000130000,"time":1750000160000,"mean":150,"min":150,"max":150,"n":60}' |
  diff - "$folder/out.jsonl" || { echo "FAILED: samework gave another alert" >&2; exit 1; }

peers="${PEERS:-../shared/peers}"
if [ -r "$peers/reference.py" ] && command -v python3 >/dev/null; then
  python3 "$peers/gen.py" 16000 "$folder/in.jsonl" --patients 20
  python3 "$peers/reference.py" "$folder/in.jsonl" "$folder/reference.jsonl" >/dev/null
  tiny "16000 samples" samework "$folder/in.jsonl" "$folder/out.jsonl"
  python3 "$peers/agree.py" "$folder/reference.jsonl" "$folder/out.jsonl"
else
  echo "skipped: the peers' reference is not in $peers (PEERS names another folder)"
fi
if "$program" nonsense >/dev/null; then echo "FAILED: an unknown subcommand was taken" >&2; exit 1; fi
