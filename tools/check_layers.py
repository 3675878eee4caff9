#!/usr/bin/env python3
"""Checks that each folder includes only the layers below it (docs/structure.md), and that device families stay apart.

Prints one line a wrong include and exits 1 when there is one.
"""
import pathlib
import re
import sys

LAYERS = ["base", "hal", "kernels", "graph", "io", "text", "models", "engine", "api", "apps"]
# These read files and text, and know nothing of devices.
WITHOUT_DEVICES = {"io", "text"}
# What is inside a driver is its own.
PRIVATE = re.compile(r"hal/\w+/")

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def wrong(path, include):
    layer, other = path.parts[0], include.split("/")[0]
    if include.startswith("inference_pio/"):
        return None
    if other not in LAYERS:
        return "includes are written from the project's root"
    if LAYERS.index(other) > LAYERS.index(layer):
        return f"{layer}/ stands below {other}/"
    if layer in WITHOUT_DEVICES and other in ("hal", "kernels", "graph"):
        return f"{layer}/ knows nothing of devices"
    if PRIVATE.match(include) and path.parts[0] != "hal":
        return "the inside of a driver belongs to hal/"
    return None


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    n_wrong = 0
    for layer in LAYERS:
        for source in sorted((root / layer).rglob("*.[ch]")):
            path = source.relative_to(root)
            for include in INCLUDE.findall(source.read_text()):
                reason = wrong(path, include)
                if reason:
                    print(f"{path}: includes {include}: {reason}")
                    n_wrong += 1
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
