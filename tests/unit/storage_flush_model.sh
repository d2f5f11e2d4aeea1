#!/usr/bin/env bash
# Does the sharing of the log's flushes hold in its model, and would the check notice if it didn't?
#
# Usage: storage_flush_model.sh MODEL
set -u
model=$(realpath "$1")
source "$(dirname "$0")/../support/spin_model.sh"

cflags="-O2 -DCOLLAPSE"
flags=-w22
holds -DN=2 -DOPS=2 -DKILLS=2
holds -DN=3 -DOPS=1 -DKILLS=0

caught -DN=3 -DOPS=2 -DKILLS=1 -DNO_NEXT
caught -DN=3 -DOPS=2 -DKILLS=1 -DNO_REAP
caught -DN=3 -DOPS=2 -DKILLS=1 -DEND_BEFORE_RELEASE
caught -DN=3 -DOPS=2 -DKILLS=1 -DQUIET_RELEASE
caught_with -w30 -DBITSTATE -DN=3 -DOPS=2 -DKILLS=0 -DKEEP_TARGET
exit $failed
