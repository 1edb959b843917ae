# shellcheck shell=bash
# ctest.sh - steps that build a preset and run its C tests: unit, golden, prop, corpus, threads,
# coverage. Needs common.sh, scratch.sh, count.sh, build.sh, services.sh, programs.sh.

COVERED='lib/wire lib/call lib/trunk lib/dialect lib/sink' # the pure folders, and the sinks with their formats
COVERED_MIN=85

# ctest_label PRESET LABEL: builds, runs, counts the tests inside the executables.
ctest_label() {
	local preset=$1 label=$2 junit=$SCRATCH/junit-$1-$2.xml
	build "$preset" || return 1
	rm -f "$junit"
	step nice "${FIXED[@]}" ctest --test-dir "$ROOT/build/$preset" -L "^$label\$" -j "$(nproc)" --output-junit "$junit" \
		--test-output-size-passed 4000000 --test-output-size-failed 4000000 \
		--output-on-failure --no-tests=ignore >"$SCRATCH/log/ctest" 2>&1 || tail -n 150 "$SCRATCH/log/ctest" >&2
	python3 "$LIB/count-junit" "$junit" >"$SCRATCH/count" || return 1
	count_file "$SCRATCH/count"
}

# The kept corpus of each fuzz target, replayed under the sanitizers.
test_unit() { ctest_label dev unit; }
test_golden() { ctest_label dev golden; }
test_prop() { ctest_label dev prop; }
test_corpus() { ctest_label dev fuzz; }

test_threads() {
	export TSAN_OPTIONS="halt_on_error=0:second_deadlock_stack=1"
	[[ ! -f $ROOT/tests/tsan.supp ]] || TSAN_OPTIONS+=":suppressions=$ROOT/tests/tsan.supp"
	ctest_label tsan threads
	# And the whole program, all roles in one process and each in its own.
	start_broker
	CALLSTREAM_BIN=$ROOT/build/tsan/bin run_python_tests "$ROOT/tests/program/test_end_to_end.py"
}

# The same tests once more, without sanitizers, only to see which lines they reach.
test_coverage() {
	local summary=$SCRATCH/coverage.json
	build cov || return 1
	find "$ROOT/build/cov" -name '*.gcda' -delete
	step nice ctest --test-dir "$ROOT/build/cov" -L '^(unit|golden|fuzz)$' -j "$(nproc)" \
		>"$SCRATCH/log/ctest-cov" 2>&1 || tail_of "$SCRATCH/log/ctest-cov"
	step nice gcovr -r "$ROOT" "$ROOT/build/cov" --filter 'lib/' --gcov-ignore-parse-errors --exclude-throw-branches \
		--json-summary "$summary" >"$SCRATCH/log/gcovr" 2>&1 || {
		tail_of "$SCRATCH/log/gcovr"
		return 1
	}
	# shellcheck disable=SC2086  # a list of words
	python3 "$LIB/coverage-table" "$summary" "$COVERED_MIN" $COVERED >"$SCRATCH/count" || return 1
	count_file "$SCRATCH/count"
}
