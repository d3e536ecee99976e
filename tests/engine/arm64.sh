#!/usr/bin/env bash
# arm64.sh <bits_tool of this machine> <folder of tiny models> <work folder>: the engine and its tests, cross-compiled,
# under qemu-user; the logits must have this machine's bits. Exit 77 (skipped) without the cross tools.
set -euo pipefail
bits_tool=$1 models=$2 work=$3
root=$(cd "$(dirname "$0")/../.." && pwd)
cc=aarch64-linux-gnu-gcc
for tool in $cc qemu-aarch64 apt-get dpkg-deb; do
    command -v $tool >/dev/null || { echo "arm64.sh: $tool is missing: skipped"; exit 77; }
done
mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work"/obj

# The few libraries that the engine needs, for arm64, unpacked beside each other without touching this system.
if [ ! -e "$work/root/.complete" ]; then
    apt="apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
        -o Dir::State::lists=$work/apt/lists -o Dir::Cache=$work/apt/cache -o Dir::State::status=/dev/null"
    $apt update || { echo "arm64.sh: no package lists: skipped"; exit 77; }
    packages=$($apt install -y --print-uris --no-install-recommends libcmocka-dev libutf8proc-dev libgnutls28-dev |
        sed -n "s/^'[^']*' \([^ ]*_arm64.deb\|[^ ]*_all.deb\) .*/\1/p" |
        grep -E '^lib(cmocka|utf8proc|gnutls|nettle|hogweed|gmp|idn2|unistring|tasn1|p11-kit|ffi|zstd|brotli)' | sed 's/_.*//')
    (cd "$work/apt" && $apt download $packages)
    for deb in "$work"/apt/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
    touch "$work/root/.complete"
fi

lib=$work/root/usr/lib/aarch64-linux-gnu
flags="-std=gnu17 -O2 -ffunction-sections -D_GNU_SOURCE -fno-strict-aliasing -ffp-contract=off -fno-math-errno -w
    -I$root/src -I$root -I$work/root/usr/include -I$lib/../include"
build() { # build <source> <flags…>: an object, unless it is newer than all sources
    local source=$1 object; shift
    object=$work/obj/$(echo "${source#"$root"/}" | tr / _).o
    $cc $flags "$@" -c "$source" -o "$object"
    objects="$objects $object"
}
objects=
shopt -s extglob
# schema.c is left out: it reads JSON, nothing here calls it, and Debian 12 has no yyjson for arm64.
for source in "$root"/src/base/*.c "$root"/src/engine/!(schema).c "$root"/src/engine/kernels/{kernels,packed}.c; do build "$source"; done
build "$root/src/engine/kernels/scalar.c" -O3
build "$root/src/engine/kernels/neon.c" -O3 -march=armv8.2-a+dotprod
link="-L$lib -L$work/root/lib/aarch64-linux-gnu -Wl,--gc-sections -Wl,--unresolved-symbols=ignore-in-shared-libs -lcmocka -lutf8proc -lgnutls -lm -lpthread"
for name in kernels_test step_test bits_tool; do
    $cc $flags "$root/tests/engine/$name.c" $objects $link -o "$work/$name"
done

run() { timeout 200 qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="/usr/aarch64-linux-gnu/lib:$lib:$work/root/lib/aarch64-linux-gnu" -E TEST_MODELS="$models" "$@"; }
run "$work/kernels_test"
run "$work/step_test"
for model in tiny-bpe tiny-f16 tiny-granite tiny-granitemoe; do
    here=$("$bits_tool" "$models/$model.gguf")
    for isa in neon scalar; do
        there=$(run "$work/bits_tool" "$models/$model.gguf" $isa)
        [ "$here" = "$there" ] || { echo "arm64.sh: $model: $isa gives $there, this machine $here"; exit 1; }
        echo "arm64.sh: $model: $isa under qemu has this machine's bits"
    done
done
