#!/bin/sh
# Installs, from Debian's packages, what the build and the tests need. Quiet when there is nothing to do.
set -eu

packages="
    cmake ninja-build gcc clang pkg-config
    libjansson-dev libpcre2-dev libpng-dev libjpeg-dev libwebp-dev
    libvulkan-dev glslc spirv-tools mesa-vulkan-drivers vulkan-validationlayers
    libcmocka-dev clang-format python3 python3-pytest python3-venv
"

missing=
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
echo "installing:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
