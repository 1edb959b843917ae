# shellcheck shell=bash
# count.sh - how many tests passed and failed, and the names of those that failed
#
#   passed N | failed NAME | check NAME COMMAND...
#   count_file FILE   adds a file of lines "passed N" and "failed NAME", as our runners write

PASSED=0
FAILED=0
FAILURES=()

passed() {
	PASSED=$((PASSED + $1))
}

failed() {
	FAILED=$((FAILED + 1))
	FAILURES+=("$1")
	say "FAILED: $1"
}

# The command is one test by itself; what it says is shown only when it fails.
check() {
	local name=$1 log=$SCRATCH/log/check
	shift
	if step "$@" >"$log" 2>&1; then
		passed 1
	else
		head -n 100 "$log" >&2
		failed "$name"
	fi
}

count_file() {
	local word rest
	[[ -s $1 ]] || {
		failed "$CURRENT: the runner left no result"
		return
	}
	while read -r word rest; do
		case $word in
		passed) passed "$rest" ;;
		*) failed "$rest" ;;
		esac
	done <"$1"
}
