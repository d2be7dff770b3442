#!/usr/bin/env bash
# Runs one command on all workers of a TPU; JAX finds the others by itself.
#
#   NAME=my-pod ZONE=us-central2-b launch/tpu_pod.sh [--dry_run] VERB [FLAGS...]
#
#   setup         copy the current commit to ~/uda_jax of all workers, install it
#   check FLAGS   run uda_jax.check_cluster, wait for it
#   start FLAGS   start training, detached from ssh: it goes on when the line breaks.
#                 Each worker starts again after exit codes 75, 76 and 128 or more
#                 (launch/restart.sh). Does nothing where it runs already
#   status        a line for each worker: running, or how it ended
#   logs [DIR]    copy the logs of all workers to DIR (./logs)
#   stop          save and end
#
#   NAME=my-pod ZONE=us-central2-b launch/tpu_pod.sh start \
#       --config=... --workdir=/shared/run
#
# /shared: a disk of all workers, or a bucket that each mounts with gcsfuse. Data
# may also be read from a bucket: --config.data.root=gs://bucket/data.
# For spot TPUs that come and go see launch/tpu_queued.sh.
set -euo pipefail

dry=''
while :; do
  case ${1-} in
    --help | -h) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit ;;
    --dry_run) dry=1 ;;
    *) break ;;
  esac
  shift
done
: "${NAME:?name of the TPU}" "${ZONE:?its zone}"
verb=${1:?expected a verb, see --help}
shift

run() {
  if [[ $dry ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}
# everywhere COMMAND [OPTION...]
everywhere() {
  local command=$1
  shift
  run gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all \
    --command="$command" "$@"
}
flags='' before=''
for flag in "$@"; do
  [[ $before != --workdir ]] || flag=--workdir=$flag
  if [[ $flag == --workdir=[!/~]* ]]; then
    echo "tpu_pod.sh: expected an absolute --workdir that all workers see, got '${flag#*=}';" \
      "it would lie in ~/uda_jax, which setup removes" >&2
    exit 2
  fi
  before=$flag
done
(($# == 0)) || flags=$(printf ' %q' "$@")
python=.venv/bin/python

case $verb in
  setup)
    bundle=$(mktemp)
    trap 'rm -f "$bundle"' EXIT
    run git bundle create --quiet "$bundle" HEAD
    run gcloud compute tpus tpu-vm scp "$bundle" "$NAME:uda_jax.bundle" \
      --zone="$ZONE" --worker=all
    everywhere "rm -rf uda_jax && git -c advice.detachedHead=false clone --quiet uda_jax.bundle uda_jax &&
      cd uda_jax && python3 -m pip install --quiet uv &&
      python3 -m uv venv --quiet --python 3.12 .venv &&
      python3 -m uv pip install --quiet -e '.[train]' 'jax[tpu]'"
    ;;
  check)
    everywhere "cd uda_jax && $python -m uda_jax.check_cluster$flags"
    ;;
  start)
    everywhere "mkdir -p uda_jax_run && cd uda_jax &&
      { setsid nohup launch/restart.sh --state=../uda_jax_run $python -m uda_jax.main$flags \
        >>../uda_jax_run/log 2>&1 </dev/null & }"
    ;;
  status)
    # shellcheck disable=SC2016  # for the workers' shells
    everywhere 'cd uda_jax_run 2>/dev/null || { echo "not started"; exit 0; }
      flock --nonblock lock true || { echo running; exit 0; }
      echo "ended with $(cat code 2>/dev/null || echo the machine)"'
    ;;
  logs)
    mkdir -p "${1:-logs}"
    everywhere 'cat uda_jax_run/log' --output-directory="${1:-logs}"
    ;;
  stop)
    # Without the lock the number in pid may be that of another process by now.
    # shellcheck disable=SC2016  # for the workers' shells
    everywhere 'cd uda_jax_run 2>/dev/null || { echo "not started"; exit 0; }
      if flock --nonblock lock true; then echo "does not run"; else kill -TERM "$(cat pid)"; fi'
    ;;
  *)
    echo "tpu_pod.sh: expected a verb, got '$verb'; see --help" >&2
    exit 2
    ;;
esac
