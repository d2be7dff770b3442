#!/usr/bin/env bash
# Requests a TPU, trains on it, and requests another one when it is preempted.
#
#   NAME=my-pod ZONE=us-central2-b TYPE=v5litepod-16 RUNTIME=v2-tpuv5-litepod \
#       launch/tpu_queued.sh [--dry_run] [--spot] FLAGS_OF_uda_jax.main...
#
# Waits in the queue (a queued resource of this NAME), then `tpu_pod.sh setup` and
# `start`. Looks again every POLL=60 seconds: a preempted TPU is deleted and
# requested again, and the run resumes from its --workdir, which is on a disk or a
# bucket that outlives the TPU. Training goes on without this script; only a
# preempted TPU needs it. Start it again at any time, it takes up what there is.
# When the run has ended, the TPU stays until you delete it:
#
#   gcloud compute tpus queued-resources delete NAME --zone=ZONE --force
#
# Exit code: that of the run.
set -euo pipefail

dry='' spot=()
while :; do
  case ${1-} in
    --help | -h) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit ;;
    --dry_run) dry=--dry_run ;;
    --spot) spot=(--spot) ;;
    *) break ;;
  esac
  shift
done
: "${NAME:?name of the TPU}" "${ZONE:?its zone}"
: "${TYPE:?type, such as v5litepod-16}" "${RUNTIME:?runtime version of the type}"
pod=$(dirname "$0")/tpu_pod.sh

queue() {
  local verb=$1
  shift
  gcloud compute tpus queued-resources "$verb" "$NAME" --zone="$ZONE" "$@"
}
request=(create --node-id="$NAME" --accelerator-type="$TYPE"
  --runtime-version="$RUNTIME" ${spot[@]+"${spot[@]}"})
if [[ $dry ]]; then
  gcloud() {
    printf '%q ' gcloud "$@"
    echo
  }
  queue "${request[@]}"
  queue describe --format='value(state.state)'
  "$pod" $dry setup
  "$pod" $dry start "$@"
  "$pod" $dry status
  queue delete --force --quiet
  exit
fi

problem=$(mktemp)
trap 'rm -f "$problem"' EXIT
ready='' before=''
while :; do
  if ! state=$(queue describe --format='value(state.state)' 2>"$problem"); then
    # A look that fails (no network, no answer) does not say that there is none.
    state="UNKNOWN ($(tail -n 1 "$problem"))"
    ! grep -qi 'not.found' "$problem" || state=NONE
  fi
  [[ $state == "$before" ]] || echo "tpu_queued.sh: $NAME is $state" >&2
  before=$state
  case $state in
    NONE)
      ready=''
      queue "${request[@]}"
      ;;
    FAILED | SUSPENDED)
      ready=''
      queue delete --force --quiet || true # else again
      ;;
    ACTIVE)
      # A worker may be gone any moment: then the next look says so.
      report=$("$pod" status 2>/dev/null) || report=''
      if grep -q 'not started\|ended with the machine' <<<"$report"; then
        # Not while a worker runs: what it runs would be replaced.
        if [[ -z $ready ]] && ! grep -q 'running\|the machine' <<<"$report"; then
          "$pod" setup || report=''
        fi
        [[ -z $report ]] || { ready=1; "$pod" start "$@" || true; }
      elif [[ $report ]] && ! grep -q running <<<"$report"; then
        codes=$(sed -n 's/.*ended with \([0-9]*\).*/\1/p' <<<"$report" | sort -nu)
        # An error, before the 76 of those that it left alone.
        code=$(grep -vx 0 <<<"$codes" | head -1 || true)
        echo "tpu_queued.sh: the run has ended with exit code ${code:-0}" >&2
        exit "${code:-0}"
      fi
      ;;
  esac
  sleep "${POLL:-60}"
done
