#!/usr/bin/env python3
"""Makes tests/data/images/: small pictures in every form that the decoders meet, and decoded.safetensors with the RGB
pixels that Pillow makes of each, transparency laid on white and Exif's orientation applied.
usage: make_image_cases.py OUT_DIR    (needs: pip install pillow numpy safetensors)"""
import os
import sys

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

WIDTH, HEIGHT = 29, 18


def pixels(channels, rng):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), (x // 4 + y // 3) % 2 * 200, (x + y) * 255 // 45]
    noise = rng.integers(-15, 15, (HEIGHT, WIDTH, channels))
    return (np.stack(waves[:channels], -1) + noise).clip(0, 255).astype(np.uint8)


def on_white(image):
    if image.mode == "I;16":
        return Image.fromarray(np.asarray(image).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
        alpha = rgba[..., 3:]
        return Image.fromarray(((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8))
    return image.convert("RGB")


def main(out):
    rng = np.random.default_rng(1)
    os.makedirs(out, exist_ok=True)
    rgb, rgba = Image.fromarray(pixels(3, rng)), Image.fromarray(pixels(4, rng))
    grey = rgb.convert("L")
    palette = rgb.quantize(17)
    keyed = palette.copy()
    wide = Image.fromarray((np.asarray(grey).astype(np.uint16) * 3))
    png = {"rgb": (rgb, {}), "rgba": (rgba, {}), "grey": (grey, {}), "grey_alpha": (rgba.convert("LA"), {}),
           "palette": (palette, {}), "palette_key": (keyed, {"transparency": 3}),
           "rgb_key": (rgb, {"transparency": rgb.getpixel((4, 4))}), "bits": (grey.convert("1"), {}),
           "grey_16": (wide, {}), "one": (rgb.crop((0, 0, 1, 1)), {})}
    for name, (image, options) in png.items():
        image.save(f"{out}/{name}.png", **options)
    jpeg = {"rgb": {}, "444": {"subsampling": 0}, "422": {"subsampling": 1}, "progressive": {"progressive": True},
            "restarts": {"restart_marker_blocks": 1}, "low": {"quality": 20}}
    for name, options in jpeg.items():
        rgb.save(f"{out}/{name}.jpg", **{"quality": 90, **options})
    grey.save(f"{out}/grey.jpg")
    rgb.convert("CMYK").save(f"{out}/cmyk.jpg", quality=95)
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        rgb.save(f"{out}/turn_{turn}.jpg", exif=exif, quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(f"{out}/turn_6.png", exif=exif)
    rgb.save(f"{out}/turn_6.webp", exif=exif, lossless=True)
    webp = {"lossy": (rgb, {}), "lossless": (rgb, {"lossless": True}), "alpha": (rgba, {"lossless": True}),
            "lossy_alpha": (rgba, {})}
    for name, (image, options) in webp.items():
        image.save(f"{out}/{name}.webp", **options)
    rgb.save(f"{out}/moving.webp", save_all=True, append_images=[rgb.rotate(180)], duration=100, lossless=True)
    expected = {}
    for name in sorted(os.listdir(out)):
        if name.endswith((".png", ".jpg", ".webp")):
            image = ImageOps.exif_transpose(Image.open(f"{out}/{name}"))
            expected[name] = np.ascontiguousarray(np.asarray(on_white(image)))
    save_file(expected, f"{out}/decoded.safetensors")


main(sys.argv[1])
