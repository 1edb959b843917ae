# shellcheck shell=bash
# packages.sh - what demo and tests need from the distribution, and apt for what is missing
#
# install_for demo|test installs what is missing and calls apt for nothing else. Each row of the
# lists says how we look: "command X" in the path, "library X" by pkg-config, "java 17" and
# "fuzzer" by trying. Debian 12, Debian 13, Ubuntu 24.04. Needs common.sh,
# kafka-jars.sh, yyjson.sh.

# package               found when
DEMO_PACKAGES='
build-essential         command g++
build-essential         command make
gcc                     command gcc
cmake                   command cmake
ninja-build             command ninja
pkg-config              command pkg-config
librdkafka-dev          library rdkafka
libjansson-dev          library jansson
libhiredis-dev          library hiredis
libevent-dev            library libevent_pthreads
libcurl4-openssl-dev    library libcurl
libyaml-dev             library yaml-0.1
libssl-dev              library libcrypto
libxxhash-dev           library libxxhash
liblz4-dev              library liblz4
tzdata                  file /usr/share/zoneinfo/Europe/Moscow
ca-certificates         file /etc/ssl/certs/ca-certificates.crt
redis-tools             command redis-check-rdb
redis-tools             command redis-cli
kcat                    command kcat
curl                    command curl
procps                  command pgrep
util-linux              command setpriv
python3                 command python3
python3-yaml            python yaml
default-jre-headless    java 17
'
TEST_PACKAGES='
libcmocka-dev           library cmocka
clang                   command clang
clang-format            command clang-format
clang-tidy              command clang-tidy
llvm                    command llvm-symbolizer
gcovr                   command gcovr
shellcheck              command shellcheck
strace                  command strace
git                     command git
python3-jsonschema      python jsonschema
'

found_command() { have "$1"; }
found_library() { have pkg-config && pkg-config --exists "$1"; }
found_file() { [[ -e $1 ]]; }
found_python() { have python3 && python3 -c "import $1" 2>/dev/null; }

# "17.0.15", "21", and before Java 9 "1.8.0"
found_java() {
	local version
	have java || return 1
	version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
	((${version:-0} >= $1))
}

# missing_packages ROWS: the packages whose thing is not there, each once.
missing_packages() {
	local package kind what
	while read -r package kind what; do
		[[ -z $package ]] || "found_$kind" "$what" || printf '%s\n' "$package"
	done <<<"$1" | sort -u
}

# The runtime of clang's sanitizers and fuzzer has a version in its name: clang's own.
clang_fuzzes() {
	have clang && echo 'int LLVMFuzzerTestOneInput(const void *p, unsigned long n) { return !p && n; }' |
		clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null
}

clang_runtime_package() {
	apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]\+\)$/libclang-rt-\1-dev/p' | head -n 1
}

# Maven is there to fetch Kafka's jars, and those are fetched once.
needs_maven() {
	[[ ! -d $KAFKA_JARS ]] && ! have mvn
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	elif have sudo && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
		sudo "$@"
	else
		die "neither root nor sudo: please install ${wanted[*]} and start again"
	fi
}

apt_update() {
	as_root apt-get -q -o DPkg::Lock::Timeout=300 update >&2 ||
		say "apt-get update failed; going on with the lists that are there"
}

# --no-remove: whoever has another provider of a library keeps it.
apt_install() {
	(($# > 0)) || return 0
	say "installing $*"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
		install --no-install-recommends --no-remove "$@" >&2 ||
		die "apt-get could not install $*"
}

wanted_for() {
	missing_packages "$DEMO_PACKAGES"
	[[ $1 != test ]] || missing_packages "$TEST_PACKAGES"
	! needs_maven || echo maven
}

install_for() {
	local wanted fuzzer='' yyjson=''
	mapfile -t wanted < <(wanted_for "$1")
	[[ $1 != test ]] || clang_fuzzes || fuzzer=missing
	found_library yyjson || yyjson=missing
	[[ -n ${wanted[*]}$fuzzer$yyjson ]] || return 0

	have apt-get || die "no apt-get here: please install ${wanted[*]} ${yyjson:+yyjson} and start again"
	apt_update
	[[ -z $fuzzer ]] || wanted+=("$(clang_runtime_package)")
	[[ -z $yyjson ]] || ! yyjson_is_packaged || wanted+=(libyyjson-dev)
	apt_install "${wanted[@]}"
	found_library yyjson || yyjson_install
}
