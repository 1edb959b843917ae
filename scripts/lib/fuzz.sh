# shellcheck shell=bash
# fuzz.sh - the step fuzz: each target for a time from its kept corpus. Needs common.sh, count.sh.
#
# What a run finds stays in build/fuzz/corpus/TARGET and a crash in build/fuzz/artifacts/TARGET; a
# crash is kept by copying it to tests/fuzz/corpus/TARGET.

test_fuzz() {
	local targets seconds=${FUZZ_SECONDS:-60}
	[[ -z $LONG ]] || seconds=${FUZZ_SECONDS:-1800}
	build fuzz || return 1
	mapfile -t targets < <(find "$ROOT/build/fuzz/tests" -maxdepth 2 -type f -name 'fuzz_*' -executable | sort)
	((${#targets[@]} > 0)) || return 0
	say "fuzzing ${#targets[@]} targets, $seconds s each"
	step nice "${FIXED[@]}" xargs -a <(printf '%s\n' "${targets[@]}") -P "$(nproc)" -n 1 \
		bash "$LIB/fuzz-one" "$ROOT" "$SCRATCH" "$seconds" || true
	cat "$SCRATCH"/fuzz-*.count >"$SCRATCH/count"
	count_file "$SCRATCH/count"
}
