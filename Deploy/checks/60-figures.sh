#!/usr/bin/env bash
# Figures of `vigil evaluate`, and kappas of `vigil label`, are those of scikit-learn, statsmodels and the rules of the PhysioNet
# 2019 scorer, on wards made up here, to 1e-9.
# limit: 240s
set -euo pipefail
cd "$(dirname "$0")/../.."
vigil="${VIGIL:-$(swift build --configuration release --show-bin-path)/vigil}"
wanted=Deploy/checks/figures-requirements.txt
folder=.build/figures-venv

# Kept between runs while the pinned versions are the same.
if ! cmp -s "$wanted" "$folder/requirements.txt"; then
  rm -rf "$folder"
  python3 -m venv "$folder"
  if ! timeout 150 "$folder/bin/pip" install --quiet --disable-pip-version-check --retries 1 --requirement "$wanted" \
    >"$folder/install.log" 2>&1; then
    tail -n 1 "$folder/install.log" >&2
    echo "SKIP: the packages that judge figures could not be installed from PyPI; figures were not verified"
    rm -rf "$folder"
    exit 0
  fi
  cp "$wanted" "$folder/requirements.txt"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$folder/bin/python" Deploy/checks/figures.py "$vigil"
