# shellcheck shell=bash
# redis.sh - a Redis without persistence on a free port of the loopback
#
#   redis_command DIR PORT   sets REDIS_COMMAND, which runs it in the foreground
#   redis_wait PORT PID SECONDS
#
# The distributions' package redis-server starts a service when it is installed. Its program is
# the one that redis-tools brings as redis-check-rdb: it looks at the name by which it is called.

REDIS_COMMAND=()

redis_program() {
	command -v redis-server && return
	have redis-check-rdb || die "neither redis-server nor redis-tools is installed"
	ln -sf "$(command -v redis-check-rdb)" "$1/redis-server"
	printf '%s\n' "$1/redis-server"
}

redis_command() {
	local program
	mkdir -p "$1"
	program=$(redis_program "$1")
	# shellcheck disable=SC2034  # the result
	REDIS_COMMAND=("$program" --bind 127.0.0.1 --port "$2" --dir "$1" --save '' --appendonly no
		--daemonize no)
}

redis_answers() {
	[[ $(timeout 2 redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null) == PONG ]]
}

redis_answers_or_died() {
	redis_answers "$1" || ! kill -0 "$2" 2>/dev/null
}

redis_wait() {
	until_true "$3" redis_answers_or_died "$1" "$2" && kill -0 "$2" 2>/dev/null
}
