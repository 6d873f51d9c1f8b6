#!/usr/bin/env bash
# What is handed on is what others read: a ward's samples, exported and asked of the live API, read by pyarrow, polars and
# DuckDB; the unit tests of the Python package vigil-client; its tutorial, which writes Parquet and Delta and compares.
# limit: 120s
set -euo pipefail
cd "$(dirname "$0")/../.."
VIGIL="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"
export VIGIL
wanted=Deploy/checks/handoff-requirements.txt
folder=.build/handoff-venv

# Kept between runs while the pinned versions are the same.
if ! cmp -s "$wanted" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder"
  if ! timeout 80 "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --requirement "$wanted" \
    >"$folder/install.log" 2>&1; then
    tail -n 1 "$folder/install.log" >&2
    echo "SKIP: what reads Arrow could not be installed from PyPI; the hand-off was not verified"
    rm -rf "$folder"
    exit 0
  fi
  cp "$wanted" "$folder/requirements.txt"
fi
# Installed as a user would, from a copy: building leaves files behind.
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
cp -R Deploy/python/. "$copy"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
  --force-reinstall "$copy"
export PYTHONDONTWRITEBYTECODE=1
"$folder/bin/python" -m unittest discover --start-directory Deploy/python/tests
"$folder/bin/python" Deploy/checks/handoff.py
