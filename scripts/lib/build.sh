# shellcheck shell=bash
# build.sh - one preset, configured and built into build/PRESET
#
# build PRESET [TARGET...]: what the tools say goes to $SCRATCH/log/build-PRESET and is shown when
# it fails; 1 then. Needs common.sh and an open scratch folder.
#
# The sanitizers of gcc 13 and older hang or die now and then where the kernel shuffles addresses as
# far as Ubuntu's does (vm.mmap_rnd_bits 32). FIXED before a command keeps them in order, where we may.

FIXED=()
# shellcheck disable=SC2034  # used by the steps
! setarch -R true 2>/dev/null || FIXED=(setarch -R)

build() {
	local preset=$1 log=$SCRATCH/log/build-$1
	shift
	cd "$ROOT" || return
	if step cmake --preset "$preset" >"$log" 2>&1 &&
		step nice cmake --build --preset "$preset" ${1:+--target "$@"} >>"$log" 2>&1; then
		return 0
	fi
	grep -E -A8 '(error|Error|FAILED|undefined reference)' "$log" | head -n 60 >&2 || true
	tail_of "$log" 10
	return 1
}
