# shellcheck shell=bash
# kafka-jars.sh - Kafka's jars from Maven, fetched once into the user's cache
#
# kafka_jars prints the folder of the jars and fetches them when it is not there. The folder
# appears at once and whole (a rename); of several runs at the same time one fetches, the others
# wait for it. Needs common.sh; mvn and a network only the first time.

KAFKA_VERSION=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$LIB/kafka-pom.xml")
KAFKA_JARS=$CACHE/kafka-$KAFKA_VERSION

kafka_jars() {
	[[ -d $KAFKA_JARS ]] || kafka_jars_fetch
	printf '%s\n' "$KAFKA_JARS"
}

# In a subshell: its trap and its lock end with it.
kafka_jars_fetch() (
	have mvn || die "Kafka's jars are not in $KAFKA_JARS, and Maven, which would fetch them, is not installed"
	mkdir -p "$CACHE" || die "no folder for Kafka's jars: XDG_CACHE_HOME names another place"
	exec 9>"$CACHE/lock"
	flock -w 900 9 || die "another run has been fetching Kafka for 15 minutes ($CACHE/lock)"
	[[ ! -d $KAFKA_JARS ]] || exit 0

	rm -rf "$KAFKA_JARS".part-* # left by a run that was killed; we hold the lock
	part=$KAFKA_JARS.part-$$
	trap 'rm -rf "$part"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$part"
	say "fetching Kafka $KAFKA_VERSION (54 MB, once)"
	maven_copy "$part" >"$part/log" 2>&1 9>&- || {
		tail_of "$part/log"
		die "Maven could not fetch Kafka; the next run tries again"
	}
	mv "$part/jars" "$KAFKA_JARS"
)

# Twice at most: a registry that drops one connection in a hundred should not end the run.
maven_copy() {
	local try
	for try in 1 2; do
		((try == 1)) || sleep 3
		mvn -B -ntp --strict-checksums -f "$LIB/kafka-pom.xml" -Dmaven.repo.local="$1/repository" \
			dependency:copy-dependencies -DoutputDirectory="$1/jars" && return 0
	done
	return 1
}
