#!/usr/bin/env bash
# peer-llama.sh: llama.cpp as Debian packages it, to be compared with. Nothing is installed and no rights are needed:
# the packages and all they depend on are fetched with an apt configuration of its own, unpacked into the user's cache
# folder, and run by their own loader.
#
#   tests/bench/peer-llama.sh              set it up (once, some 200 MB; then at once)
#   tests/bench/peer-llama.sh PROGRAM ...  run llama-bench, llama-tokenize, llama-server ...; paths absolute
#   tests/bench/peer-llama.sh --version    the version of the package
#
# Environment: LLAMA_SUITE (forky), LLAMA_ROOT (the folder)
set -euo pipefail
suite=${LLAMA_SUITE:-forky}
root=${LLAMA_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/prometheus-alerts-slm/peers/llama.cpp-$suite}
fail() { echo "peer-llama: $*" >&2; exit 1; }

mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 ~ /\/debian\/*$/ { print $1; exit }'
}

# apt with lists, cache and status of its own, all under the folder $1.
own_apt() {
    local work=$1
    shift
    apt-get -q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status" \
        -o "Dir::State::extended_states=$work/extended" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User= \
        -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false \
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# The newer suite may be signed with keys that this system lacks: trixie's keyring package, which the keys that are
# here vouch for, brings them.
fetch() {
    local work=$1 uri
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "needs apt-get and dpkg-deb, so a Debian system"
    uri=$(mirror)
    [ -n "$uri" ] || fail "no Debian archive among the apt sources"
    mkdir -p "$work"/{lists/partial,cache/archives/partial,keys,root}
    : >"$work/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri trixie main" >"$work/sources.list"
    own_apt "$work" update >&2
    (cd "$work" && own_apt "$work" download debian-archive-keyring >&2)
    dpkg-deb -x "$work"/debian-archive-keyring_*.deb "$work/keys"
    echo "deb [signed-by=$(echo "$work"/keys/usr/share/keyrings/debian-archive-keyring.*pg | cut -d' ' -f1)] $uri $suite main" >"$work/sources.list"
    own_apt "$work" update >&2
    own_apt "$work" install -y --download-only --no-install-recommends llama.cpp-tools llama.cpp-tools-extra >&2
    local deb
    for deb in "$work"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$work/root"
    done
    ls "$work"/cache/archives | grep '^llama.cpp-tools_' | sed 's/^[^_]*_//; s/_[^_]*$//; s/%3a/:/' >"$work/root/version"
}

set_up() {
    [ ! -e "$root/version" ] || return 0
    mkdir -p "$(dirname "$root")"
    exec 8>"$root.lock"
    flock 8
    [ ! -e "$root/version" ] || return 0
    echo "peer-llama: fetching llama.cpp from Debian $suite into $root" >&2
    work=$(mktemp -d "$root.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    fetch "$work"
    rm -rf "$root"
    mv "$work/root" "$root"
    exec 8>&-
}

run() {
    local program=$1 libraries loader backends
    shift
    [ -x "$root/usr/bin/$program" ] || fail "the packages bring no $program"
    loader=$(find "$root" -path '*/lib*/ld-linux-*.so*' -print -quit)
    libraries=$(find "$root" -name libc.so.6 -print -quit)
    libraries=$(find "$(dirname "$libraries")" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
    backends=$(dirname "$(find "$root" -name 'libggml-cpu*.so' -print -quit)")
    cd "$backends"                        # where ggml looks for its backends
    exec "$loader" --library-path "$libraries" "$root/usr/bin/$program" "$@"
}

set_up
case ${1:-} in
'') echo "$root" ;;
--version) cat "$root/version" ;;
*) run "$@" ;;
esac
