#!/bin/bash
# Images in shards as a Slurm job array, and a job that joins their logs when all have ended:
#
#   SHARDS=16 deploy/slurm_array.sh images out --model xception65.ade20k
#
# SOURCE and OUT are on a file system that all nodes share; further words are options of
# `easyseg segment`. Shards that died are done again with the same SHARDS; what is done is skipped:
#
#   SHARDS=16 sbatch --array=3,7 deploy/slurm_array.sh images out --model xception65.ade20k
#   easyseg merge out
#
#SBATCH --job-name=easyseg
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then  # called by hand: submit the array and what follows it
    export SHARDS="${SHARDS:?is the number of shards, such as SHARDS=16}"
    job=$(sbatch --parsable --array="1-$SHARDS" "$0" "$@")
    # afterany: a shard with an unreadable image ends with exit code 2, and its log is complete
    sbatch --dependency="afterany:${job%%;*}" --job-name=easyseg-merge --mem=4G \
        --wrap="easyseg merge $(printf %q "$2")"
    exit
fi

shard="$SLURM_ARRAY_TASK_ID/${SHARDS:-$SLURM_ARRAY_TASK_COUNT}"
exec easyseg segment "$1" -o "$2" "${@:3}" --shard "$shard" --resume --quiet
