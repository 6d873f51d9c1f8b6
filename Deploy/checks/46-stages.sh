#!/usr/bin/env bash
# The suppression stages on a recording: together they tell no more than none of them, each can be switched off by its name, and
# every row of the ledger is counted under its stage and rule.
# limit: 60s
set -euo pipefail
cd "$(dirname "$0")/../.."
data="${VIGIL_DATA:-../shared/data}"
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"

if [ ! -r "$data/bidmc_numerics/vitals.csv.zst" ]; then
  echo "skipped: no recording in $data/bidmc_numerics (VIGIL_DATA names another folder)"
  exit 0
fi
python3 - "$vigil" "$data/bidmc_numerics" <<'PYTHON'
import collections, json, subprocess, sys, tempfile

vigil, folder = sys.argv[1:]


def replay(*more):
    command = [vigil, "replay", folder + "/vitals.csv.zst", "--set", "adult-ward", "--alerts", "/dev/null", "--json"]
    done = subprocess.run([*command, "--stage-report", *more], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, (more, done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


with tempfile.NamedTemporaryFile() as file:
    everything = replay("--suppressed", file.name)
    rows = [json.loads(line) for line in open(file.name)]
held = collections.Counter((row["suppressed"]["reason"], row["rule"]["id"]) for row in rows)
told = {(stage, rule): n for stage, own in everything["stages"].items() for rule, n in own["by_rule"].items()}
assert rows and dict(held) == told, (held, told)
assert sum(own["held"] for own in everything["stages"].values()) == everything["suppressed"] == len(rows), everything
stages = list(everything["stages"])
assert len(stages) == 16, stages
for stage in stages:
    report = replay("--without", stage)["stages"]
    assert report[stage]["held"] == 0, (stage, report[stage])
nothing = replay("--without", ",".join(stages))
assert nothing["suppressed"] == 0, nothing
assert everything["alerts"] <= nothing["alerts"], (everything["alerts"], nothing["alerts"])
assert everything["notifications"] <= nothing["notifications"], (everything, nothing)
unknown = subprocess.run([vigil, "replay", "x", "--without", "flapping"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
assert unknown.returncode == 2, unknown
print(f"{len(stages)} stages, {len(rows)} rows of the ledger by stage and rule; all of them: {everything['alerts']} alerts, "
      f"none: {nothing['alerts']}")
PYTHON
