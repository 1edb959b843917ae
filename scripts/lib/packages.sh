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
	version=$(java -XX:-UsePerfData -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
	((${version:-0} >= $1))
}

# missing_packages ROWS: the packages whose thing is not there, each once.
missing_packages() {
	local package kind what
	while read -r package kind what; do
		[[ -z $package ]] || "found_$kind" "$what" || printf '%s\n' "$package"
	done <<<"$1" | sort -u
}

# The runtime of clang's sanitizers and fuzzer has a version in its name: that of the clang that is
# there, or of the one that the distribution would bring.
clang_fuzzes() {
	have clang && echo 'int LLVMFuzzerTestOneInput(const void *p, unsigned long n) { return !p && n; }' |
		clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null
}

clang_runtime_package() {
	local major
	if have clang; then
		major=$(clang -dumpversion | sed 's/\..*//')
	else
		major=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]\+\)$/\1/p' | head -n 1)
	fi
	[[ -z $major ]] || printf 'libclang-rt-%s-dev\n' "$major"
}

# Maven is there to fetch Kafka's jars, and those are fetched once.
needs_maven() {
	[[ ! -d $KAFKA_JARS ]] && ! have mvn
}

may_be_root() {
	((EUID == 0)) || { have sudo && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }
}

as_root() {
	if ((EUID == 0)); then
		"$@"
	else
		sudo "$@"
	fi
}

# No questions, and no restart of the machine's own services (needrestart, Ubuntu).
apt_get() {
	as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
		apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# A machine that has just begun fetches lists by itself, and apt waits for no lock of those.
apt_update() {
	local log=$SCRATCH/log/apt-update deadline=$((SECONDS + 300))
	until apt_get update 2>&1 | tee "$log" >&2; do
		if ((SECONDS >= deadline)) || ! grep -q 'Could not get lock' "$log"; then
			say "apt-get update failed; going on with the lists that are there"
			return
		fi
		sleep 3
	done
}

# --no-remove: whoever has another provider of a library keeps it.
apt_install() {
	(($# > 0)) || return 0
	say "installing $*"
	apt_get install --no-install-recommends --no-remove "$@" >&2 || die "apt-get could not install $*"
}

wanted_for() {
	missing_packages "$DEMO_PACKAGES"
	[[ $1 != test ]] || missing_packages "$TEST_PACKAGES"
	! needs_maven || echo maven
}

# please_install WHY PACKAGE...: the last word where we cannot do it ourselves.
please_install() {
	local why=$1 note=''
	shift
	[[ " $* " != *" libyyjson-dev "* ]] || note=" (libyyjson-dev: yyjson 0.8 or newer; on Debian 12 that of Debian $YYJSON_SUITE)"
	die "$why: please install $*$note and start again"
}

install_for() {
	local wanted packages fuzzer='' yyjson='' runtime
	mapfile -t wanted < <(wanted_for "$1")
	[[ $1 != test ]] || clang_fuzzes || fuzzer=missing
	found_library yyjson || yyjson=libyyjson-dev
	[[ -n ${wanted[*]}$fuzzer$yyjson ]] || return 0

	runtime=$(clang_runtime_package)
	packages=("${wanted[@]}" ${fuzzer:+"${runtime:-libclang-rt-dev}"} ${yyjson:+"$yyjson"})
	have apt-get || please_install "no apt-get here" "${packages[@]}"
	may_be_root || please_install "neither root nor sudo without a password" "${packages[@]}"
	apt_update
	[[ -z $fuzzer ]] || mapfile -t -O "${#wanted[@]}" wanted < <(clang_runtime_package)
	[[ -z $yyjson ]] || ! yyjson_is_packaged || wanted+=("$yyjson")
	apt_install "${wanted[@]}"
	found_library yyjson || yyjson_install
}
