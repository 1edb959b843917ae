# shellcheck shell=bash
# scratch.sh - one scratch folder and every process of a run; both gone when the script ends
#
#   scratch_open [keep]           makes $SCRATCH and sets the traps; needs common.sh
#   spawn NAME COMMAND...         starts a role: TERM and time to drain at the end
#   spawn_service NAME COMMAND... starts a service whose data nobody wants: killed at the end
#   at_the_end CODE               the script may define it: its last words, which give the exit code
#   step COMMAND...               runs a command that a signal ends at once; returns its code
#
# Each process leads a session of its own: so all that it starts can be ended with it, and Ctrl-C
# reaches only the script, which then ends things in order: the step, the roles, the services.
# What spawned processes print is in $SCRATCH/log/NAME. They die with the script even when that
# is killed with -9 (the folder then stays).

SCRATCH=
SCRATCH_KEEP=
DRAIN_SECONDS=${DRAIN_SECONDS:-30}
STEP_SECONDS=45 # a step may be a script like this one, which has roles to drain
declare -A ROLE_PIDS=() SERVICE_PIDS=()
STEP_PID=
LAST_PID=

scratch_open() {
	SCRATCH_KEEP=${1:-}
	trap 'scratch_close $?' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	# Named before it is made, so that no signal falls between the two.
	SCRATCH=${TMPDIR:-/tmp}/callstream-$$-$RANDOM$RANDOM
	mkdir -m 755 "$SCRATCH" || {
		SCRATCH=
		die "no scratch folder in ${TMPDIR:-/tmp}"
	}
	mkdir "$SCRATCH/log"
}

# launch SIGNAL COMMAND...: SIGNAL is what the process gets when this script dies unheard.
launch() {
	local signal=$1
	shift
	setsid setpriv --pdeathsig "$signal" env --default-signal=INT,QUIT "$@" </dev/null &
	LAST_PID=$!
}

spawn() {
	local name=$1
	shift
	launch TERM "$@" >>"$SCRATCH/log/$name" 2>&1
	ROLE_PIDS[$name]=$LAST_PID
}

spawn_service() {
	local name=$1
	shift
	launch KILL "$@" >>"$SCRATCH/log/$name" 2>&1
	disown "$LAST_PID" # else bash reports its end
	SERVICE_PIDS[$name]=$LAST_PID
}

# bash runs a trap only after the command in the foreground, but at once while it waits.
step() {
	local rc=0
	launch TERM "$@"
	STEP_PID=$LAST_PID
	wait "$STEP_PID" || rc=$?
	STEP_PID=
	return "$rc"
}

# alive SESSION: does any process of it still run? (One that only waits to be reaped does not.)
alive() {
	pgrep -s "$1" -r D,R,S,T,t >/dev/null
}

# send SIGNAL SESSION...: to all processes of the sessions; one that is gone is no error.
send() {
	local signal=$1 session
	shift
	for session in "$@"; do
		pkill "-$signal" -s "$session" || true
	done
}

none_alive() {
	local session
	for session in "$@"; do
		! alive "$session" || return 1
	done
}

# end_sessions SECONDS SESSION...: TERM, a deadline, KILL. CONT, as a stopped one hears no TERM.
end_sessions() {
	local seconds=$1
	shift
	(($# > 0)) || return 0
	send TERM "$@"
	send CONT "$@"
	until_true "$seconds" none_alive "$@" || {
		say "not ended within $seconds s, killed: $*"
		kill_sessions "$@"
	}
}

kill_sessions() {
	(($# > 0)) || return 0
	send KILL "$@"
	until_true 10 none_alive "$@" || say "cannot be killed: $*"
}

stop_roles() {
	end_sessions "$DRAIN_SECONDS" "${ROLE_PIDS[@]}"
	ROLE_PIDS=()
}

scratch_close() {
	local rc=$1
	trap - EXIT
	trap '' INT TERM HUP
	[[ -z $STEP_PID ]] || end_sessions "$STEP_SECONDS" "$STEP_PID"
	stop_roles
	kill_sessions "${SERVICE_PIDS[@]}"
	if [[ -n $SCRATCH && -n $SCRATCH_KEEP ]]; then
		say "kept: $SCRATCH"
	elif [[ -n $SCRATCH ]]; then
		rm -rf -- "$SCRATCH"
	fi
	! declare -F at_the_end >/dev/null || at_the_end "$rc" || rc=$?
	exit "$rc"
}
