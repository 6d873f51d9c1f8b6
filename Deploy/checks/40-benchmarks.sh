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
tiny "sealer append" chunk 4 100
tiny "M samples/CPU-s" engine 20000
if "$program" nonsense >/dev/null; then echo "FAILED: an unknown subcommand was taken" >&2; exit 1; fi
