#!/usr/bin/env bash
#SBATCH --job-name=uda_jax
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
#SBATCH --requeue
#
# One process on each node, with all GPUs of the node; JAX finds the others.
#
#   sbatch --nodes=2 --gpus-per-node=8 --time=24:00:00 \
#       launch/slurm.sh [--check] --config=... --workdir=/shared/run
#   launch/slurm.sh --dry_run --config=... --workdir=/shared/run
#
# The job is requeued, and the run resumes, when the time limit is near, when the
# job is preempted (with a GraceTime), when a process or a node dies; not when it
# is cancelled, ends with an error, or fails three times soon after its start.
# More tasks on a node divide its GPUs: sbatch --ntasks-per-node=8.
#
#   --check    run uda_jax.check_cluster with these flags instead of training
#   --dry_run  print what would run and end
#   PYTHON=    environment: another Python (all nodes see it)
set -uo pipefail

module=uda_jax.main dry=''
while :; do
  case ${1-} in
    --help | -h) awk 'NR > 1 && !/^#/ {exit} /^#( |$)/ {sub(/^# ?/, ""); print}' "$0"; exit ;;
    --dry_run) dry=1 ;;
    --check) module=uda_jax.check_cluster ;;
    *) break ;;
  esac
  shift
done

# Processes that save end one by one, with 75: neither a site's KillOnBadExit nor
# its WaitTime may kill the others. A process whose peer died ends by itself; one
# that hangs is killed after ten minutes.
command=(srun --kill-on-bad-exit=0 --wait=600 "${PYTHON:-python}" -m "$module" "$@")
if [[ $dry ]]; then
  grep '^#SBATCH' "$0"
  printf '%q ' "${command[@]}"
  echo
  exit
fi
# Since Slurm 22.05 srun does not take it from sbatch.
[[ -z ${SLURM_CPUS_PER_TASK-} ]] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

# Slurm signals the processes itself. This shell must live to requeue; srun would
# kill them if the signal were passed on.
signalled=''
trap 'signalled=1' TERM
"${command[@]}" &
while :; do
  signalled=''
  wait $!
  code=$?
  [[ $signalled ]] || break
done

again=''
if ((code == 75)); then
  again=1
elif ((code == 76 || (code >= 128 && code != 130))); then
  # Also what srun reports if some processes saved and others were killed.
  ((SECONDS >= ${QUICK:-600} || ${SLURM_RESTART_COUNT:-0} < 3)) && again=1
fi
echo "slurm.sh: exit code $code${again:+, the run can resume}" >&2
# A job that is cancelled, or that Slurm requeues itself, is not RUNNING.
if [[ $again ]] && scontrol show job "$SLURM_JOB_ID" | grep -q JobState=RUNNING; then
  scontrol requeue "$SLURM_JOB_ID" && echo "slurm.sh: requeued" >&2
fi
exit "$code"
