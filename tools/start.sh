#!/bin/sh
# The first command: installs what is missing, builds, lists the devices, and asks the bundled tiny model something.
set -eu
cd "$(dirname "$0")/.."

tools/install_deps.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build

echo
echo '$ build/inference-pio devices'
build/inference-pio devices
for question in "What is 47 + 38?" "Arrange 9, 2, 700, 41 in ascending order."; do
    echo
    echo "\$ build/inference-pio run qwen3_4b_instruct_2507 \"$question\""
    build/inference-pio run qwen3_4b_instruct_2507 "$question"
done
