# shellcheck shell=bash
# sim.sh - the step sim: lives of the whole pipeline on a simulated machine. Needs common.sh,
# scratch.sh, count.sh, build.sh.
#
# The seeds are always the same, so a failure is one of the change that is tested; --long goes on
# to a million. A few lives run under the sanitizers, where every misuse of memory is a failure too.
# Then rules of ours are broken on purpose, one at a time (lib/base/broken.h): each has to be found.

SIM_LIVES=10000
SIM_LIVES_LONG=1000000
SIM_LIVES_SANITIZED=600
SIM_LIVES_BROKEN=1000 # the most that it may take to find a broken rule

# sim_lives NAME PROGRAM FIRST_SEED LIVES
sim_lives() {
	local name=$1 log=$SCRATCH/log/sim-$1
	if step nice "$2" --traffic "$SCRATCH/sim-traffic" --seed "$3" --lives "$4" >"$log" 2>&1; then
		echo "passed 1" >"$SCRATCH/sim-$name.count"
	else
		echo "failed lives $name, seeds from $3" >"$SCRATCH/sim-$name.count"
	fi
	tail -n 120 "$log" >&2
}

# sim_broken RULE PROGRAM: a test by itself. What is found is a failing seed, not a crash.
sim_broken() {
	local log=$SCRATCH/log/sim-broken-$1
	step nice "$2" --traffic "$SCRATCH/sim-traffic" --broken "$1" --lives "$SIM_LIVES_BROKEN" --no-shrink \
		>"$log" 2>&1 || true # it is to fail
	if grep -q '^seed ' "$log"; then
		echo "passed 1"
	else
		echo "failed broken rule $1 is not found in $SIM_LIVES_BROKEN lives"
		tail -n 20 "$log" >&2
	fi
}

# sim_broken_half HALF PROGRAM RULE...
sim_broken_half() {
	local half=$1 program=$2 rule
	shift 2
	for rule; do
		sim_broken "$rule" "$program"
	done >"$SCRATCH/sim-broken-$half.count"
}

test_sim_broken() {
	local program=$1 rules n
	mapfile -t rules < <("$program" --broken list | cut -d ' ' -f 1)
	n=$((${#rules[@]} / 2))
	[[ $n -gt 0 ]] || echo "failed there are no broken rules" >"$SCRATCH/sim-broken-none.count"
	sim_broken_half one "$program" "${rules[@]::n}" &
	sim_broken_half two "$program" "${rules[@]:n}" &
	wait
}

test_sim() {
	local lives=$SIM_LIVES half
	[[ -z $LONG ]] || lives=$SIM_LIVES_LONG
	half=$((lives / 2))
	build dev && build sim || return 1
	step python3 "$ROOT/bench/gen/gen.py" --out "$SCRATCH/sim-traffic" --seed 11 --calls 600 --accounts 3 --bad 0 \
		--rate 2000 --start-at 2026-03-14T10:15:00.000Z >/dev/null || return 1
	sim_lives one "$ROOT/build/sim/bin/callstream-sim" 1 "$half" &
	sim_lives two "$ROOT/build/sim/bin/callstream-sim" $((half + 1)) "$half" &
	wait
	sim_lives sanitized "$ROOT/build/dev/bin/callstream-sim" 2000000 "$SIM_LIVES_SANITIZED"
	test_sim_broken "$ROOT/build/sim/bin/callstream-sim"
	cat "$SCRATCH"/sim-*.count >"$SCRATCH/count"
	count_file "$SCRATCH/count"
}
