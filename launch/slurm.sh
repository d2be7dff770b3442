#!/usr/bin/env bash
# Starts one process on each GPU node under Slurm; JAX finds the others by itself.
#   sbatch --nodes=2 --gpus-per-node=8 launch/slurm.sh --config=... --workdir=/shared/run
# Exit code 75 (stopped by SIGTERM, everything saved) requeues the job.
#SBATCH --job-name=uda_jax
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -uo pipefail
srun --kill-on-bad-exit=1 "${PYTHON:-python}" -m uda_jax.main "$@"
status=$?
if [ "$status" -eq 75 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
