#!/usr/bin/env bash
# What receivers are sent is what their own world accepts: a webhook of every format and kind, sent by the program to a
# sink, verified by packages that know nothing of Vigil (standardwebhooks, cloudevents, fhir.resources).
# limit: 120s
set -euo pipefail
cd "$(dirname "$0")/../.."
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"
wanted=Deploy/checks/formats-requirements.txt
folder=.build/formats-venv

# Kept between runs while the pinned versions are the same.
if ! cmp -s "$wanted" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder"
  if ! timeout 90 "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --requirement "$wanted" \
    >"$folder/install.log" 2>&1; then
    tail -n 1 "$folder/install.log" >&2
    echo "SKIP: the packages that judge formats could not be installed from PyPI; formats were not verified"
    rm -rf "$folder"
    exit 0
  fi
  cp "$wanted" "$folder/requirements.txt"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$folder/bin/python" Deploy/checks/formats.py "$vigil"
