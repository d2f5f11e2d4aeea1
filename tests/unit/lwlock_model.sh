#!/usr/bin/env bash
# Does the lock's protocol hold in its model, and would the check notice if it didn't?
#
# Usage: lwlock_model.sh MODEL [full]
# Small configurations by default (some seconds); `full` runs those of lwlock/README.md (an hour,
# up to 6 GB). Exit 77 (skipped) where spin or a C compiler is missing.
set -u
model=$(realpath "$1")
full=${2:-}

command -v spin > /dev/null || { echo "skipped: spin is not installed"; exit 77; }
compiler=$(command -v cc || command -v gcc || command -v clang) ||
  { echo "skipped: no C compiler"; exit 77; }

work=$(mktemp -d /tmp/lwlock_model.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failed=0

# explore PAN_CFLAGS PAN_FLAGS SPIN_DEFINES...: sets $errors and $states.
explore() {
  local cflags=$1 flags=$2
  shift 2
  rm -f pan* ./*.trail
  spin "$@" -a "$model" > spin.log 2>&1 || { cat spin.log; exit 1; }
  # shellcheck disable=SC2086
  "$compiler" -w -DSAFETY -DVECTORSZ=1024 $cflags -o pan pan.c || exit 1
  # shellcheck disable=SC2086
  ./pan -m100000 $flags > pan.log 2>&1
  errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
  states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
  # Too shallow or out of memory is no proof.
  if grep -q "max search depth too small\|out of memory\|memory limit" pan.log; then errors=incomplete; fi
}

holds() {
  explore "$cflags" "$flags" "$@"
  if [ "$errors" = 0 ]; then
    echo "holds: $* ($states states)"
  else
    echo "FAILED: $*: errors: ${errors:-none reported}"; tail -20 pan.log; failed=1
  fi
}

caught() { caught_with -w20 "$@"; }
caught_with() {
  local table=$1
  shift
  explore "-DCOLLAPSE" "$table" "$@"
  case "$errors" in
    '' | 0 | incomplete) echo "FAILED: mutant not caught: $*"; failed=1 ;;
    *) echo "caught: $*" ;;
  esac
}

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

if [ "$full" = full ]; then
  caught -DN=3 -DKILLS=1 -DHANDOFF -DLEAVE_RESERVED
  caught_with -w24 -DN=3 -DKILLS=0 -DOPS=2 -DCOND -DGIVE_UP_SILENT
  cflags="-O2 -DHC4 -DMEMLIM=6000"
  flags=-w24
  holds -DN=2 -DKILLS=2 -DMKILLS=2
  holds -DN=2 -DKILLS=1 -DMKILLS=1 -DHANDOFF -DTRY -DDOWN -DEARLY=1
  holds -DN=2 -DKILLS=1 -DMKILLS=1 -DLOCKS=2 -DWORDS
  holds -DN=2 -DKILLS=2 -DMKILLS=1 -DTRY -DDOWN -DREUSE=1 -DWORDS
  holds -DN=2 -DKILLS=1 -DLOCKS=2 -DTRY -DDOWN
  holds -DN=2 -DKILLS=2 -DMKILLS=1 -DCOND
  holds -DN=2 -DKILLS=1 -DCOND -DHANDOFF
  holds -DN=3 -DKILLS=1 -DHANDOFF
  cflags="-O2 -DBITSTATE"
  flags=-w34
  holds -DN=3 -DKILLS=1 -DMKILLS=1
fi
exit $failed
