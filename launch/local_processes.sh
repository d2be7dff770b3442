#!/usr/bin/env bash
# Starts N processes of one run on this machine, as on a cluster.
#
#   launch/local_processes.sh [--dry_run] [--check] N FLAGS_OF_uda_jax.main...
#   launch/local_processes.sh 2 --config=streets/self_training --workdir=runs/two
#
# GPUs are divided among the processes. One process with all GPUs is the usual way
# and needs no launcher: python -m uda_jax.main. On a CPU give each process its
# devices: JAX_NUM_CPU_DEVICES=1. To resume by itself after a stop:
#
#   launch/restart.sh launch/local_processes.sh 2 --config=... --workdir=...
#
# Exit code: that of an error, before those (128 and more, 76) of processes that were
# killed or lost a peer; 75 if all have saved.
#
#   --check    run uda_jax.check_cluster with these flags instead of training
#   --dry_run  print the commands and end
#   PORT=, PYTHON=  environment: another port or Python
set -uo pipefail

module=uda_jax.main dry=''
while :; do
  case ${1-} in
    --help | -h) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit ;;
    --dry_run) dry=1 ;;
    --check) module=uda_jax.check_cluster ;;
    *) break ;;
  esac
  shift
done
if [[ ! ${1-} =~ ^[1-9][0-9]*$ ]]; then
  echo "local_processes.sh: expected a number of processes, got '${1-}'; see --help" >&2
  exit 2
fi
count=$1
shift
port=${PORT:-$((20000 + RANDOM % 20000))}

pids=()
signalled=''
trap 'signalled=1; ((${#pids[@]} == 0)) || kill -TERM "${pids[@]}" 2>/dev/null' TERM INT HUP
for ((i = 0; i < count; i++)); do
  command=("${PYTHON:-python}" -m "$module" --coordinator="localhost:$port"
    --num_processes="$count" --process_id="$i" "$@")
  if [[ $dry ]]; then
    printf '%q ' "${command[@]}"
    echo
  else
    "${command[@]}" &
    pids+=($!)
  fi
done

# A signal before this line did not find all of them.
[[ -z $signalled ]] || kill -TERM "${pids[@]}" 2>/dev/null

# How much a code tells about the cause.
rank() {
  case $1 in
    0) echo 0 ;;
    75) echo 1 ;;
    76) echo 2 ;;
    *) (($1 < 128 || $1 == 130)) && echo 4 || echo 3 ;;
  esac
}

status=0
for pid in ${pids[@]+"${pids[@]}"}; do
  # A signal ends `wait`, not the process.
  while :; do
    signalled=''
    wait "$pid"
    code=$?
    [[ $signalled ]] || break
  done
  (($(rank "$code") <= $(rank "$status"))) || status=$code
done
exit "$status"
