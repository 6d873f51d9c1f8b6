#!/usr/bin/env bash
# 50 SIGKILLs at random moments while 100,000 QoS 1 messages stream in through a real broker: every sample stored once,
# every alert delivered under one id and as an offline replay has it. Then fewer with clock: wall, where times and
# identities that the service itself gives out must survive too.
# limit: 300s
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
python3 kills.py stream 100000 50
python3 kills.py wall 30000 15
