#!/usr/bin/env bash
# The same recording and rules give the same alert documents byte for byte: replayed twice, and live through a broker at
# two speeds and with stalls. The synthetic ward always; recordings of $VIGIL_DATA (default ../shared/data) when there.
# limit: 240s
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
exec python3 determinism.py
