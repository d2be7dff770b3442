#!/usr/bin/env bash
# Starts N processes of one run on this machine, like a pod or a cluster.
#   launch/local_processes.sh 2 --config=streets/self_training --workdir=runs/two
# On CPU, give each process its devices: JAX_NUM_CPU_DEVICES=1.
set -euo pipefail
count=${1:?usage: $0 NUM_PROCESSES FLAGS_OF_uda_jax.main...}
shift
port=${PORT:-$((20000 + RANDOM % 20000))}
python=${PYTHON:-python}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' TERM INT
for ((i = 0; i < count; i++)); do
  "$python" -m uda_jax.main --coordinator="localhost:$port" \
    --num_processes="$count" --process_id="$i" "$@" &
  pids+=($!)
done
status=0
for pid in "${pids[@]}"; do
  wait "$pid" || status=$?
done
exit "$status"
