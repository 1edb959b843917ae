# shellcheck shell=bash
# programs.sh - steps written in Python: the tools' own tests, the programs on a real broker, the
# demo. Needs common.sh, scratch.sh, services.sh, count.sh, build.sh.

DEMO_CALLS=300
PROGRAM_JOBS=3 # files at once: the tests mostly wait for time-outs

run_python_tests() {
	local jobs=()
	[[ $1 != -j ]] || {
		jobs=("$1" "$2")
		shift 2
	}
	step nice "${FIXED[@]}" python3 "$LIB/run-tests" "${jobs[@]}" "$SCRATCH/count" "$@" || true
	count_file "$SCRATCH/count"
}

test_python() {
	run_python_tests "$ROOT/bench"
}

# One broker and one Redis for all; each test has a topic prefix of its own, and those that hurt a
# broker start a private one.
test_program() {
	build dev || return 1
	start_broker
	start_redis
	CALLSTREAM_BIN=${CALLSTREAM_BIN:-$ROOT/build/dev/bin} run_python_tests -j "$PROGRAM_JOBS" "$ROOT/tests/program"
}

test_demo() {
	start_broker
	start_redis
	check "demo" "$ROOT/scripts/demo" --calls "$DEMO_CALLS"
}
