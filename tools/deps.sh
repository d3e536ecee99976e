#!/usr/bin/env bash
# deps.sh: what the build and the tests need, on Debian 12 and 13.
#
#   tools/deps.sh            install what is missing (apt-get, as root or with sudo), or say how
#   tools/deps.sh check      exit 0 if nothing is missing; print nothing
#   tools/deps.sh list       the packages, one a line
#
# Debian 12 has no yyjson: trixie's package is fetched with an apt configuration of its own and unpacked under
# build/deps, so that no apt source is added to the machine.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
deps=$top/build/deps

build_packages=(
    gcc libc6-dev make meson ninja-build pkg-config python3 ca-certificates curl
    libcmocka-dev libcurl4-gnutls-dev libfyaml-dev libgnutls28-dev libmicrohttpd-dev libpq-dev
    libsqlite3-dev libutf8proc-dev zlib1g-dev
)
test_packages=(
    clang-19 clang-format-19 clang-tidy-19 jq libclang-rt-19-dev openssl postgresql prometheus prometheus-alertmanager
    python3-numpy python3-pip python3-venv python3-yaml sqlite3 valgrind zstd
)
packages() { printf '%s\n' "${build_packages[@]}" "${test_packages[@]}"; has_own_yyjson && echo libyyjson-dev || true; }
has_own_yyjson() { [ "$(apt-cache madison libyyjson-dev 2>/dev/null | wc -l)" -gt 0 ]; }

missing() {
    local p
    for p in $(packages); do
        dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
    done
}

need_yyjson() { ! pkg-config --exists yyjson 2>/dev/null && [ ! -e "$deps/root/usr/include/yyjson.h" ]; }

# Everything apt writes here stays under build/deps: lists, cache and the one source. The archive's signature is
# checked as always.
fetch_yyjson() {
    local mirror apt
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk -v c="$(. /etc/os-release && echo "$VERSION_CODENAME")" '$2 == c { print $1 }' | grep '/debian/*$' | head -n 1)
    [ -n "$mirror" ] || { echo "deps: no Debian archive among the apt sources: install yyjson (libyyjson-dev) by hand" >&2; return 1; }
    mkdir -p "$deps"/apt/{lists/partial,cache/archives/partial} "$deps/root"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$mirror" >"$deps/apt/sources.list"
    apt=(apt-get -q -o "Dir::Etc::sourcelist=$deps/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$deps/apt/lists" -o "Dir::Cache=$deps/apt/cache" -o APT::Sandbox::User=
        -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
    echo "deps: fetching yyjson from Debian 13 into build/deps"
    "${apt[@]}" update
    (cd "$deps" && "${apt[@]}" download libyyjson-dev libyyjson0)
    local deb
    for deb in "$deps"/libyyjson*.deb; do
        dpkg-deb -x "$deb" "$deps/root"
    done
    rm -rf "$deps/apt"
}

run_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif sudo -n true 2>/dev/null; then
        sudo "$@"
    else
        return 77
    fi
}

install_packages() {
    local want
    mapfile -t want < <(missing)
    [ "${#want[@]}" -gt 0 ] || return 0
    local command="apt-get install -y --no-install-recommends ${want[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "deps: this is not Debian: install the counterparts of: ${want[*]}" >&2
        return 1
    fi
    echo "deps: installing ${want[*]}"
    local status=0
    run_as_root env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -q && $command" || status=$?
    if [ "$status" = 77 ]; then
        printf 'deps: packages are missing and there are no rights to install them. Run:\n  sudo %s\n' "$command" >&2
        return 1
    fi
    return "$status"
}

case ${1:-install} in
list) packages ;;
check) [ -z "$(missing)" ] && ! need_yyjson ;;
install)
    install_packages
    ! need_yyjson || fetch_yyjson
    ;;
*)
    echo "usage: tools/deps.sh [install|check|list]" >&2
    exit 2
    ;;
esac
