# shellcheck shell=bash
# fuzz.sh - fuzz targets, each for a time from its kept corpus: scripts/fuzz and the step fuzz.
# Needs common.sh, scratch.sh, count.sh, build.sh.
#
#   fuzz_names                          the targets that there are
#   fuzz_run SECONDS JOBS NAME...       builds and runs them, each is a test for count.sh
#
# What a run finds stays in build/fuzz/corpus/NAME and a crash in build/fuzz/artifacts/NAME; a crash
# is kept by copying it to tests/fuzz/corpus/NAME. With FUZZ_KEEP=yes the kept corpus is minimised.

FUZZ_KEEP=

fuzz_names() {
	local file
	for file in "$ROOT"/tests/fuzz/fuzz_*.c; do
		file=${file##*/fuzz_}
		printf '%s\n' "${file%.c}"
	done
}

fuzz_run() {
	local seconds=$1 jobs=$2 name
	shift 2
	build fuzz "${@/#/fuzz_}" || return 1
	say "fuzzing $# targets, $seconds s each, $jobs at once"
	step nice "${FIXED[@]}" xargs -a <(printf '%s\n' "$@") -P "$jobs" -n 1 \
		bash "$LIB/fuzz-one" "$ROOT" "$SCRATCH" "$seconds" "$FUZZ_KEEP" || true
	for name; do
		count_file "$SCRATCH/fuzz-$name.count"
	done
}

test_fuzz() {
	local seconds=${FUZZ_SECONDS:-60} names
	[[ -z $LONG ]] || seconds=${FUZZ_SECONDS:-1800}
	mapfile -t names < <(fuzz_names)
	fuzz_run "$seconds" "$(nproc)" "${names[@]}"
}
