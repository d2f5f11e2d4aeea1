# Sourced by the tests of models, with $model: runs spin, and says what holds and what is caught.
# Exit 77 (skipped) where spin or a C compiler is missing.
command -v spin > /dev/null || { echo "skipped: spin is not installed"; exit 77; }
compiler=$(command -v cc || command -v gcc || command -v clang) ||
  { echo "skipped: no C compiler"; exit 77; }

work=$(mktemp -d /tmp/warren_model.XXXXXX)
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

caught() { caught_with -w20 -DCOLLAPSE "$@"; }
# caught_with PAN_FLAGS PAN_CFLAGS SPIN_DEFINES...
caught_with() {
  local flags=$1 cflags=$2
  shift 2
  explore "$cflags" "$flags" "$@"
  case "$errors" in
    '' | 0 | incomplete) echo "FAILED: mutant not caught: $*"; failed=1 ;;
    *) echo "caught: $*" ;;
  esac
}
