#!/usr/bin/env bash
# The rules that ship are right as files, do what the tests beside them say, and every small change of one is noticed.
# limit: 120s
set -euo pipefail
cd "$(dirname "$0")/../.."
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"

"$vigil" check Rules/
"$vigil" test Rules/ --require-tests
"$vigil" test Rules/ --mutate --minimum 90
