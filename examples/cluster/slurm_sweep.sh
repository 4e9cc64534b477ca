#!/bin/bash
#SBATCH --job-name=pushforward
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00

# A Ray cluster of the machines of this job, and a sweep, or a study, on it:
#
#     sbatch slurm_sweep.sh sweep u1 --over flow.length=4,8 seed=0..9 --out /shared/u1
#
# The folder must be one that all machines see. Submitted again, it goes on with what is not finished.
set -euo pipefail

port=$((20000 + SLURM_JOB_ID % 20000))
mapfile -t machines < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${machines[0]}:$port

on() { # MACHINE COMMAND...: beside what runs there already
    srun --overlap --nodes=1 --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" --nodelist="$1" "${@:2}"
}

on "${machines[0]}" ray start --head --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --include-dashboard=false --block &
until on "${machines[0]}" ray status --address="$head" > /dev/null 2>&1; do sleep 2; done
for machine in "${machines[@]:1}"; do
    on "$machine" ray start --address="$head" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
done

on "${machines[0]}" pushforward "$@" --ray "$head"
on "${machines[0]}" ray stop > /dev/null
