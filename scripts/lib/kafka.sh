# shellcheck shell=bash
# kafka.sh - a broker of one node (KRaft) on free ports of the loopback, in one folder
#
#   kafka_create DIR [KEY=VALUE...]  ports, properties and an empty, formatted store
#   kafka_command DIR                sets KAFKA_COMMAND, which runs it in the foreground
#   kafka_wait DIR PID SECONDS       0 as soon as it answers a metadata request
#   kafka_address DIR                HOST:PORT
#
# KEY=VALUE overrides our properties; so does KAFKA_PROPERTIES, one per line. The ports belong
# to the folder: a broker that is started again has its old ones. Needs common.sh, kafka-jars.sh.

KAFKA_HEAP=${KAFKA_HEAP:-512m}
KAFKA_OPTIONS=()
KAFKA_COMMAND=()

kafka_create() {
	local dir=$1 ports cluster
	shift
	mkdir -p "$dir"
	mapfile -t ports < <(free_ports 2)
	((${#ports[@]} == 2)) || return 1
	printf '127.0.0.1:%s\n' "${ports[0]}" >"$dir/address"
	kafka_log_properties >"$dir/log4j2.properties"
	{
		kafka_properties "$dir" "${ports[@]}"
		printf '%s\n' "${KAFKA_PROPERTIES:-}" "$@"
	} >"$dir/kafka.properties"
	cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
	kafka_java "$dir" -Xmx128m kafka.tools.StorageTool format -t "$cluster" -c "$dir/kafka.properties" \
		>"$dir/format.log" 2>&1 || {
		tail_of "$dir/format.log"
		return 1
	}
}

# A later line of a properties file wins, so overrides just follow.
kafka_properties() {
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$3
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
		advertised.listeners=PLAINTEXT://127.0.0.1:$2
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		inter.broker.listener.name=PLAINTEXT
		log.dirs=$1/data
		auto.create.topics.enable=false
		default.replication.factor=1
		offsets.topic.num.partitions=4
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.num.partitions=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=500
		transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
		log.cleaner.dedupe.buffer.size=16777216
		broker.session.timeout.ms=3000
		broker.heartbeat.interval.ms=200
	END
}

kafka_log_properties() {
	cat <<-'END'
		status=error
		appender.out.type=Console
		appender.out.name=out
		appender.out.layout.type=PatternLayout
		appender.out.layout.pattern=%d %p %c{1} %m%n
		rootLogger.level=${env:KAFKA_LOG_LEVEL:-INFO}
		rootLogger.appenderRef.out.ref=out
	END
}

# kafka_options DIR: what every Java process of ours is told, in KAFKA_OPTIONS. What it unpacks (the
# compressors' libraries) and would leave behind when killed lies in DIR too.
kafka_options() {
	local jars
	jars=$(kafka_jars)
	mkdir -p "$1/tmp"
	KAFKA_OPTIONS=(-cp "$jars/*" -Dlog4j2.configurationFile="$1/log4j2.properties" -Djava.io.tmpdir="$1/tmp"
		-XX:-UsePerfData)
}

# kafka_java DIR [OPTION...] CLASS [ARGUMENT...]
kafka_java() {
	kafka_options "$1"
	java "${KAFKA_OPTIONS[@]}" "${@:2}"
}

kafka_command() {
	kafka_options "$1"
	# shellcheck disable=SC2034  # the result
	KAFKA_COMMAND=(java "${KAFKA_OPTIONS[@]}" "-Xmx$KAFKA_HEAP" -Xms128m -XX:+ExitOnOutOfMemoryError
		kafka.Kafka "$1/kafka.properties")
}

kafka_address() {
	cat "$1/address"
}

# One real request; -m bounds the library's wait, timeout the rest.
kafka_answers() {
	timeout 5 kcat -q -L -m 1 -b "$1" 2>/dev/null | grep -q "broker 1 at $1"
}

# An answer, or the end of the process: what comes first.
kafka_answers_or_died() {
	kafka_answers "$1" || ! kill -0 "$2" 2>/dev/null
}

kafka_wait() {
	local address
	address=$(kafka_address "$1")
	until_true "$3" kafka_answers_or_died "$address" "$2" && kill -0 "$2" 2>/dev/null
}
