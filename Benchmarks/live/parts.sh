# Sourced by run and throughput: a private broker, the service and the benchmark program in one temporary folder.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export SWIFT_BACKTRACE=enable=no LC_ALL=C.UTF-8
folder="$(mktemp -d "${TMPDIR:-/tmp}/vigil-live.XXXXXX")"
pids=()

end_part() { # PID
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

cleanup() {
  trap - EXIT INT TERM
  local pid
  for pid in "${pids[@]}"; do end_part "$pid"; done
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The programs: given by VIGIL and VIGIL_BENCHMARKS, or built here.
build_parts() {
  local bin
  if [ -z "${VIGIL:-}" ] || [ -z "${VIGIL_BENCHMARKS:-}" ]; then
    swift build --configuration release --product vigil 2>&1 | tail -n 1
    swift build --configuration release --product VigilBenchmarks 2>&1 | tail -n 1
    bin="$(swift build --configuration release --show-bin-path)"
    VIGIL="${VIGIL:-$bin/vigil}"
    VIGIL_BENCHMARKS="${VIGIL_BENCHMARKS:-$bin/VigilBenchmarks}"
  fi
}

wait_for() { # FILE PATTERN WHAT
  local _
  for _ in $(seq 150); do
    grep -q "$2" "$1" 2>/dev/null && return 0
    sleep 0.1
  done
  echo "$3 did not come up; its last words:" >&2
  tail -n 5 "$1" >&2
  return 1
}

# Nothing dropped by number; no persistence, so that its own disk writes do not blur what is compared.
start_broker() {
  local attempt _
  for attempt in 1 2 3 4 5 6 7 8; do
    port=$((20000 + RANDOM % 20000))
    printf '%s\n' "listener $port 127.0.0.1" "allow_anonymous true" "persistence false" "max_inflight_messages 0" \
      "max_queued_messages 0" "set_tcp_nodelay true" >"$folder/broker.conf"
    mosquitto -c "$folder/broker.conf" 2>"$folder/broker.log" &
    broker=$!
    for _ in $(seq 50); do
      kill -0 "$broker" 2>/dev/null || break
      if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        pids+=("$broker")
        return 0
      fi
      sleep 0.1
    done
    wait "$broker" 2>/dev/null || true
  done
  echo "no broker could be started" >&2
  return 1
}

# start_vigil RULES SET [WEBHOOK_PORT]: a fresh store each time. Sets `vigil` and `pages`.
start_vigil() {
  rm -rf "$folder/store" "$folder/vigil.log"
  cat >"$folder/vigil.yaml" <<YAML
identity: device
clock: stream
brokers: [{ url: "mqtt://127.0.0.1:$port", client_id: "vigil-live-$RANDOM$RANDOM" }]
rules: { path: "$1", set: $2 }
store: { path: $folder/store }
http: { listen: "127.0.0.1:0" }
YAML
  if [ -n "${3:-}" ]; then
    cat >>"$folder/vigil.yaml" <<YAML
receivers:
  - name: sink
    url: "http://127.0.0.1:$3/hook"
    secret: env:VIGIL_LIVE_SECRET
    payload: full
    allow_private: true
    agreement: "benchmark on this machine"
YAML
  fi
  "$VIGIL" run -c "$folder/vigil.yaml" 2>"$folder/vigil.log" &
  vigil=$!
  pids+=("$vigil")
  wait_for "$folder/vigil.log" '"state":"connected"' "vigil"
  pages="$(sed -n 's/.*"http":"\([^"]*\)".*/\1/p' "$folder/vigil.log" | head -n 1)"
}

# Processor time of a process so far, user and system, in milliseconds.
cpu_ms() {
  local fields
  fields="$(sed 's/.*) //' "/proc/$1/stat")"
  # shellcheck disable=SC2086
  set -- $fields
  echo $(((${12} + ${13}) * 1000 / $(getconf CLK_TCK)))
}

# field JSON NAME: one number of a flat JSON line.
field() { sed -n "s/.*\"$2\":\(null\|[0-9.]*\).*/\1/p" <<<"$1"; }

# The median of the lines on stdin.
median() { sort -n | awk '{ value[NR] = $1 } END { print NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }
