#!/usr/bin/env bash
# Does the lock's protocol hold in its model, and would the check notice if it didn't?
#
# Usage: lwlock_model.sh MODEL [full]
# Small configurations by default (some seconds); `full` runs those of lwlock/README.md (an hour,
# up to 6 GB). Exit 77 (skipped) where spin or a C compiler is missing.
set -u
model=$(realpath "$1")
full=${2:-}

source "$(dirname "$0")/../support/spin_model.sh"

cflags="-O1 -DCOLLAPSE"
flags=-w20
holds -DN=2 -DKILLS=1 -DMKILLS=1
holds -DN=2 -DKILLS=1 -DREUSE=1 -DDOWN -DWORDS
holds -DN=2 -DKILLS=1 -DHANDOFF
holds -DN=2 -DKILLS=0 -DLOCKS=2 -DTRY -DDOWN

# The wake-up of the repair, the repair itself, and when the marks are set and cleared.
caught -DN=2 -DKILLS=2 -DNO_WAKE
caught -DN=2 -DKILLS=1 -DNO_REPAIR
caught -DN=2 -DKILLS=1 -DLATE_CLEAR
caught -DN=2 -DKILLS=1 -DPENDING_BEFORE_HELD
caught -DN=2 -DKILLS=1 -DLEAVE_BEFORE_PENDING
caught -DN=2 -DKILLS=1 -DLOCKS=2 -DGAP_FIRST
caught -DN=2 -DKILLS=1 -DMKILLS=1 -DFORGET_FIRST
caught -DN=2 -DKILLS=2 -DREUSE=1 -DSLOT_EARLY
# Downgrades, tries, hand-over.
caught -DN=2 -DKILLS=0 -DDOWN -DBIT_AFTER_WORD
caught -DN=2 -DKILLS=0 -DTRY -DTRY_SILENT
caught -DN=2 -DKILLS=0 -DTRY -DTRY_OWN
caught -DN=3 -DKILLS=0 -DHANDOFF -DKEEP_RESERVED
# Waiters that are roused because what they wait for has gone.
caught -DN=2 -DKILLS=0 -DCOND -DROUSE_SILENT
caught -DN=3 -DKILLS=0 -DCOND -DROUSE_IF_FLAGGED
caught -DN=3 -DKILLS=0 -DCOND -DSLEEP_ON_WORD

if [ "$full" = full ]; then
  caught -DN=3 -DKILLS=1 -DHANDOFF -DLEAVE_RESERVED
  caught_with -w24 -DCOLLAPSE -DN=3 -DKILLS=0 -DOPS=2 -DCOND -DGIVE_UP_SILENT
  cflags="-O2 -DHC4 -DMEMLIM=6000"
  flags=-w24
  holds -DN=2 -DKILLS=2 -DMKILLS=2
  holds -DN=2 -DKILLS=1 -DMKILLS=1 -DHANDOFF -DTRY -DDOWN -DEARLY=1
  holds -DN=2 -DKILLS=1 -DMKILLS=1 -DLOCKS=2 -DWORDS
  holds -DN=2 -DKILLS=2 -DMKILLS=1 -DTRY -DDOWN -DREUSE=1 -DWORDS
  holds -DN=2 -DKILLS=1 -DLOCKS=2 -DTRY -DDOWN
  holds -DN=2 -DKILLS=2 -DMKILLS=1 -DCOND
  holds -DN=2 -DKILLS=1 -DCOND -DHANDOFF
  holds -DN=3 -DKILLS=0 -DCOND
  holds -DN=3 -DKILLS=1 -DHANDOFF
  cflags="-O2 -DBITSTATE"
  flags=-w34
  holds -DN=3 -DKILLS=1 -DMKILLS=1
fi
exit $failed
