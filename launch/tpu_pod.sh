#!/usr/bin/env bash
# Runs the same command on every worker of a TPU pod; JAX finds the others by itself.
#   NAME=my-pod ZONE=us-central2-b launch/tpu_pod.sh --config=... --workdir=/shared/run
# /shared: a disk of all workers, or a bucket that each mounts with gcsfuse. The data
# may also be read directly from the bucket (--config.data.root=gs://bucket/data).
# The repository is expected in ~/uda_jax on every worker, installed with
#   pip install -r requirements.txt 'jax[tpu]'
set -euo pipefail
: "${NAME:?name of the TPU}" "${ZONE:?its zone}"
gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all \
  --command="cd ~/uda_jax && python3 -m uda_jax.main $(printf '%q ' "$@")"
