# shellcheck shell=bash
# services.sh - the broker and the Redis of one run, or those that the environment names
#
#   start_broker [KEY=VALUE...]   afterwards CALLSTREAM_BROKERS is set (HOST:PORT)
#   start_redis                   afterwards CALLSTREAM_REDIS is set (redis://HOST:PORT/0)
#
# Needs common.sh, scratch.sh, kafka-jars.sh, kafka.sh, redis.sh and an open scratch folder.

SERVICE_SECONDS=${SERVICE_SECONDS:-90}
PORT_TRIES=3

start_broker() {
	local try
	if [[ -n ${CALLSTREAM_BROKERS:-} ]]; then
		say "broker: $CALLSTREAM_BROKERS, as the environment says"
		return
	fi
	step "$ROOT/scripts/broker" fetch
	for ((try = 1; try <= PORT_TRIES; try++)); do
		! start_broker_once "$@" || break
		kill_sessions "${SERVICE_PIDS[kafka]}"
		port_was_taken kafka || break
	done
	[[ -n ${CALLSTREAM_BROKERS:-} ]] || service_failed kafka
	say "broker: $CALLSTREAM_BROKERS"
}

start_broker_once() {
	local dir=$SCRATCH/kafka
	rm -rf "$dir"
	step "$ROOT/scripts/broker" create "$dir" "$@" || die "the broker's folder could not be made"
	kafka_command "$dir"
	spawn_service kafka "${KAFKA_COMMAND[@]}"
	kafka_wait "$dir" "${SERVICE_PIDS[kafka]}" "$SERVICE_SECONDS" || return 1
	CALLSTREAM_BROKERS=$(kafka_address "$dir")
	export CALLSTREAM_BROKERS
}

start_redis() {
	local try
	if [[ -n ${CALLSTREAM_REDIS:-} ]]; then
		say "Redis: $CALLSTREAM_REDIS, as the environment says"
		return
	fi
	for ((try = 1; try <= PORT_TRIES; try++)); do
		! start_redis_once || break
		kill_sessions "${SERVICE_PIDS[redis]}"
		port_was_taken redis || break
	done
	[[ -n ${CALLSTREAM_REDIS:-} ]] || service_failed redis
	say "Redis: $CALLSTREAM_REDIS"
}

start_redis_once() {
	local port
	port=$(free_ports 1)
	redis_command "$SCRATCH/redis" "$port"
	spawn_service redis "${REDIS_COMMAND[@]}"
	redis_wait "$port" "${SERVICE_PIDS[redis]}" "$SERVICE_SECONDS" || return 1
	export CALLSTREAM_REDIS=redis://127.0.0.1:$port/0
}

# Another process may take a port between our look and the service's bind: then once more.
port_was_taken() {
	grep -qi 'address already in use' "$SCRATCH/log/$1"
}

service_failed() {
	tail_of "$SCRATCH/log/$1"
	die "$1 did not answer within $SERVICE_SECONDS s"
}
