# shellcheck shell=bash
# sim.sh - the step sim: lives of the whole pipeline on a simulated machine. Needs common.sh,
# scratch.sh, count.sh, build.sh.
#
# The seeds are always the same, so a failure is one of the change that is tested; --long goes on
# to a million. A few lives run under the sanitizers, where every misuse of memory is a failure too.

SIM_LIVES=10000
SIM_LIVES_LONG=1000000
SIM_LIVES_SANITIZED=600

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
	cat "$SCRATCH"/sim-*.count >"$SCRATCH/count"
	count_file "$SCRATCH/count"
}
