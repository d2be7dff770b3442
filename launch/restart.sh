#!/usr/bin/env bash
# Runs a command, and runs it again when the run was stopped but can resume.
#
#   launch/restart.sh [--dry_run] [--state=DIR] COMMAND...
#   launch/restart.sh python -m uda_jax.main --config=... --workdir=...
#   launch/restart.sh mpirun -np 8 python -m uda_jax.main --config=... --workdir=...
#
# Starts again after exit codes 75 (saved after SIGTERM or SIGHUP), 76 (another
# process of the run is gone) and 128 or more (killed by a signal), but not after
# three failures in a row, each within ten minutes (QUICK=600 seconds). Any other
# code ends it, 130 (stopped by Ctrl-C) too. A signal to this script is passed on as
# SIGTERM, and ends it.
#
#   --state=DIR  one start at a time: DIR/pid is its process, DIR/code how it ended
#   --dry_run    print the command and end
set -uo pipefail

state='' dry=''
while :; do
  case ${1-} in
    --help | -h) awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$0"; exit ;;
    --dry_run) dry=1 ;;
    --state=*) state=${1#*=} ;;
    *) break ;;
  esac
  shift
done
(($#)) || { echo "restart.sh: expected a command; see --help" >&2; exit 2; }
if [[ $dry ]]; then printf '%q ' "$@"; echo; exit; fi

finish() {
  [[ -z $state ]] || echo "$1" >"$state/code"
  echo "restart.sh: ended with exit code $1" >&2
  exit "$1"
}

if [[ $state ]]; then
  mkdir -p "$state"
  exec 9>"$state/lock"
  flock --nonblock 9 || { echo "restart.sh: runs already" >&2; exit 0; }
  rm -f "$state/code"
  echo $$ >"$state/pid"
fi

child='' stop='' signalled=''
trap 'stop=1 signalled=1; [[ -z $child ]] || kill -TERM "$child" 2>/dev/null' TERM INT HUP
failures=0
while :; do
  start=$SECONDS
  "$@" &
  child=$!
  # A signal before this line found no child to send it to.
  [[ -z $stop ]] || kill -TERM "$child" 2>/dev/null
  # A signal ends `wait`, not the command.
  while :; do
    signalled=''
    wait "$child"
    code=$?
    [[ $signalled ]] || break
  done
  child=''
  [[ -z $stop ]] || finish "$code"
  if ((code == 76 || (code >= 128 && code != 130))); then
    ((SECONDS - start < ${QUICK:-600})) && ((++failures)) || failures=0
    if ((failures >= 3)); then
      echo "restart.sh: failed $failures times in a row, soon after the start" >&2
      finish "$code"
    fi
  elif ((code == 75)); then
    failures=0
  else
    finish "$code"
  fi
  echo "restart.sh: exit code $code, starting again" >&2
  sleep "${PAUSE:-1}"
  [[ -z $stop ]] || finish "$code"
done
