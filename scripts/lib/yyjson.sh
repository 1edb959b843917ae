# shellcheck shell=bash
# yyjson.sh - yyjson on Debian 12, which has no package of it: Debian 13's
#
# Those packages need nothing but a libc (2.14 or newer), so they install as they are. A private
# list and private index folders keep the machine's apt as it was. Needs common.sh, packages.sh and an
# open scratch folder.

YYJSON_SUITE=trixie

yyjson_is_packaged() {
	apt-cache policy libyyjson-dev 2>/dev/null | grep -q 'Candidate: [0-9]'
}

yyjson_install() {
	local folder
	# shellcheck source=/dev/null
	[[ $(. /etc/os-release && echo "$ID") == debian ]] ||
		die "no package libyyjson-dev here: please install yyjson 0.8 or newer and start again"
	folder=$SCRATCH/yyjson
	mkdir -m 755 "$folder"
	say "installing libyyjson-dev of Debian $YYJSON_SUITE"
	if ! yyjson_download "$folder" >"$folder/log" 2>&1; then
		tail_of "$folder/log"
		die "the packages of yyjson could not be fetched"
	fi
	as_root dpkg -i "$folder"/libyyjson*.deb >&2 || die "dpkg could not install yyjson"
}

# The mirror is the one that this machine takes Debian from.
yyjson_mirror() {
	# shellcheck disable=SC2016  # apt's own names
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'ORIGIN: Debian' |
		grep -v security | head -n 1
}

yyjson_download() {
	local folder=$1 mirror options keys=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(yyjson_mirror)
	[[ -n $mirror ]] || return 1
	mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
	[[ -r $keys ]] && mirror="[signed-by=$keys] $mirror"
	printf 'deb %s %s main\n' "$mirror" "$YYJSON_SUITE" >"$folder/sources.list"
	options=(-q -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
	apt-get "${options[@]}" update &&
		(cd "$folder" && apt-get "${options[@]}" download libyyjson0 libyyjson-dev)
}
