# shellcheck shell=bash
# common.sh - what every script needs: where things are, how to speak, how to fail
#
# Source it first. Messages go to stderr, so that stdout stays free for data.

# shellcheck disable=SC2034  # used by the files that source this one
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LIB=$ROOT/scripts/lib
# A shell of cron or of a service may have no HOME; without one "~" is what the system knows.
[[ -n ${HOME:-} ]] || {
	unset HOME
	HOME=~
	export HOME
}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/callstream

say() {
	printf '==> %s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# tail_of FILE [LINES]: the end of a log, under its name, for a person who looks at a failure.
tail_of() {
	[[ -s $1 ]] || return 0
	printf -- '--- the end of %s\n' "$1" >&2
	tail -n "${2:-25}" "$1" >&2
	printf -- '---\n' >&2
}

# until_true SECONDS COMMAND...: repeats COMMAND until it succeeds; 1 when the time is over.
until_true() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.1
	done
}

# free_ports N: N free TCP ports of the loopback, one per line.
free_ports() {
	python3 "$LIB/free-ports" "$1"
}
