#!/bin/sh
# The second command: all tests. Release build and its tests, the same with sanitizers, then every fuzzer on its kept
# corpus and FUZZ_SECONDS beyond it.
set -eu
cd "$(dirname "$0")/.."
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
jobs=$(nproc)

began=$(date +%s)
step() { printf '\n== %s (at %d s)\n' "$*" $(($(date +%s) - began)); }

step "what the build needs"
tools/install_deps.sh

step "layers, format and documents"
python3 tools/check_layers.py
python3 tools/check_docs.py
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror

step "release"
cmake --preset release >/dev/null
cmake --build --preset release
ctest --preset release -j "$jobs"

step "the Python package"
PIO_LIBRARY=$PWD/build/libinference_pio.so pytest-3 -q -p no:cacheprovider python/tests

step "address and undefined-behaviour sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan
ctest --preset asan -j "$jobs"

step "fuzzers"
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
# shellcheck disable=SC2016 # expanded by the shells that xargs starts, as many at once as there are processors
printf '%s\n' tests/fuzz/corpus/*/ | xargs -P "$jobs" -I '{}' sh -euc '
    name=$(basename "{}")
    echo "$name: $1 s"
    found=$(mktemp -d)
    build-fuzz/tests/"fuzz_$name" -max_total_time="$1" -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="build-fuzz/$name-" "$found" "{}"
    rm -rf "$found"
' sh "$FUZZ_SECONDS"

step "all tests passed"
