#!/usr/bin/env bash
# Trains on N Kubernetes nodes: writes a JobSet and applies it.
#
#   launch/jobset.sh [--dry_run] [--check] NAME IMAGE N FLAGS_OF_uda_jax.main...
#   launch/jobset.sh mic my.registry/uda_jax:1 2 --config=... --workdir=/shared/run
#
# The cluster runs the JobSet controller (https://jobset.sigs.k8s.io), and IMAGE has
# uda_jax and `python`. The volume claim CLAIM=shared, which all nodes can write, is
# mounted at /shared. The pods start again, at most RESTARTS=100 times, after exit
# codes 75 (saved after SIGTERM: eviction, preemption), 76, 128 and more, and when a
# node is lost; codes of mistakes (1, 2, 74) and 130 end the JobSet at once.
#
#   GPUS=8 RESOURCE=nvidia.com/gpu  environment: the devices of a node
#   --check    run uda_jax.check_cluster with these flags instead of training
#   --dry_run  print the JobSet and end
#
#   kubectl get jobset NAME;  kubectl logs -f -l jobset.sigs.k8s.io/jobset-name=NAME
set -euo pipefail

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
name=${1:?name of the JobSet, see --help}
image=${2:?image, see --help}
nodes=${3:?number of nodes, see --help}
shift 3

# Lines of YAML: each flag quoted, $ doubled so that Kubernetes leaves it alone.
arguments() {
  local flag
  for flag in "$@"; do
    flag=${flag//\'/\'\'}
    printf "              - '%s'\n" "${flag//\$/\$\$}"
  done
}

manifest() {
  cat <<END
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $name
spec:
  failurePolicy:
    maxRestarts: ${RESTARTS:-100}
    rules:
      # What podFailurePolicy below calls a mistake. All else restarts all pods.
      - name: mistake
        action: FailJobSet
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
    - name: run
      replicas: 1
      template:
        spec:
          parallelism: $nodes
          completions: $nodes
          completionMode: Indexed
          # One pod that ends ends all: they start again together.
          backoffLimit: 0
          podFailurePolicy:
            rules:
              - action: FailJob
                onExitCodes:
                  containerName: train
                  operator: In
                  values: [1, 2, 74, 130]
          template:
            spec:
              restartPolicy: Never
              # Time to save after SIGTERM.
              terminationGracePeriodSeconds: 300
              containers:
                - name: train
                  image: '$image'
                  command: [python, -m, $module]
                  args:
$({ arguments "$@" | sed 's/^/      /'; })
                    - --coordinator=$name-run-0-0.$name:55527
                    - --num_processes=$nodes
                    - --process_id=\$(JOB_COMPLETION_INDEX)
                  resources:
                    limits:
                      ${RESOURCE:-nvidia.com/gpu}: ${GPUS:-8}
                  volumeMounts:
                    - name: shared
                      mountPath: /shared
                    # NCCL's; the default is 64 MB.
                    - name: memory
                      mountPath: /dev/shm
              volumes:
                - name: shared
                  persistentVolumeClaim:
                    claimName: ${CLAIM:-shared}
                - name: memory
                  emptyDir:
                    medium: Memory
END
}

if [[ $dry ]]; then
  manifest "$@"
else
  manifest "$@" | kubectl apply -f -
fi
