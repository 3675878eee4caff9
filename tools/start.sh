#!/bin/sh
# The first command: installs what is missing, builds, lists the devices, and asks the bundled tiny models something.
set -eu
cd "$(dirname "$0")/.."

tools/install_deps.sh
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build

echo
echo '$ build/inference-pio devices'
build/inference-pio devices

# Prints the command, then runs it. Arguments with spaces are shown in quotes.
show() {
    echo
    printf '$ build/inference-pio run'
    for argument in "$@"; do
        case $argument in
        *" "*) printf ' "%s"' "$argument" ;;
        *) printf ' %s' "$argument" ;;
        esac
    done
    echo
    build/inference-pio run "$@"
}
show qwen3_4b_instruct_2507 "Arrange 9, 2, 700, 41 in ascending order."
show glm_4_7_flash --reasoning inline "Leo has 12 bags with 8 cards each and 30 more. How many cards does Leo have?"
show qwen3_coder_30b "Write a Python function largest(x, y) that returns the larger of x and y."
show qwen3_vl_2b --image assets/pictures/scene_1.png "Describe the picture."
show qwen3_vl_2b --image assets/pictures/scene_1.png --image assets/pictures/scene_2.png \
    "Which picture shows a purple cross?"
