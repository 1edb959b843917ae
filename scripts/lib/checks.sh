# shellcheck shell=bash
# checks.sh - steps that read the tree: hygiene, format, shell, tidy
#
# Formatter and linter differ from version to version, so one version decides (Debian 12's); with
# another one these two steps only tell what they would change. Needs common.sh, count.sh, build.sh.

CLANG_MAJOR=14

test_hygiene() {
	"$LIB/tree-files" "$ROOT" >"$SCRATCH/tree"
	check "hygiene" python3 "$LIB/hygiene" "$ROOT" "$SCRATCH/tree"
}

# decides TOOL: is this the version whose word counts?
decides() {
	"$1" --version | grep -q "version $CLANG_MAJOR\\."
}

# What it would change is a word in brackets behind each place; how often, for whom the log is too long.
advise() {
	local log=$SCRATCH/log/advice-$1
	say "$1 is another version than $CLANG_MAJOR: it advises, it does not decide"
	step "${@:2}" >"$log" 2>&1 || true
	sed -n 's/.*\(warning\|error\): .*\[-\?\([^],]*\).*/\2/p' "$log" | sort | uniq -c | sort -rn | head -n 20 >&2
	passed 1
}

# tool_step NAME TOOL COMMAND...: one test, if this version of the tool decides.
tool_step() {
	local name=$1 tool=$2
	shift 2
	if decides "$tool"; then
		check "$name" "$@"
	else
		advise "$tool" "$@"
	fi
}

test_format() {
	"$LIB/tree-files" "$ROOT" '*.c' '*.h' >"$SCRATCH/tree"
	tool_step "format" clang-format xargs -0 -r -a "$SCRATCH/tree" clang-format --dry-run -Werror
}

test_shell() {
	local files
	mapfile -t files < <(shell_files)
	check "shellcheck" shellcheck -x "${files[@]}"
}

shell_files() {
	"$LIB/tree-files" "$ROOT" 'scripts/*' 'scripts/lib/*' '.ci/run' | while read -r -d '' file; do
		[[ $file != *.sh ]] && ! head -n 1 "$file" | grep -q 'bash' || printf '%s\n' "$file"
	done
}

# The build is the test: every warning is an error in both compilers.
test_clang() {
	if build clang-dev; then
		passed 1
	else
		failed "build with clang"
	fi
}

test_tidy() {
	step cmake --preset clang-dev -S "$ROOT" >"$SCRATCH/log/tidy-configure" 2>&1 || return 1
	"$LIB/tree-files" "$ROOT" 'lib/*/*.c' 'lib/*/*/*.c' 'cmd/*/*.c' >"$SCRATCH/tree"
	tool_step "clang-tidy" clang-tidy nice xargs -0 -r -a "$SCRATCH/tree" -P "$(nproc)" -n 1 \
		clang-tidy -p "$ROOT/build/clang-dev" --quiet
}
