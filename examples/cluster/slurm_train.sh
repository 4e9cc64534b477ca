#!/bin/bash
#SBATCH --job-name=pushforward
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue

# One model in a process on each machine of this job:
#
#     sbatch slurm_train.sh big.parquet --flow maf --out /shared/big
#
# Where the run is there already, it goes on from its newest checkpoint, with as many machines as this job has.
set -euo pipefail

out=${*: -1}
if [ -f "$out/config.yaml" ]; then set -- --resume "$out"; fi
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" pushforward train "$@" --distributed
