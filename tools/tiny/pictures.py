"""Drawn scenes: what lies in them, where, and the PNG files that show them. Needs only the standard library; all
arithmetic is on integers, so that whoever draws a scene by the same rules draws the same pixels.

A scene is {"width", "height", "ground": (name, (r, g, b)), "shapes": [Shape]}; the last shape is drawn last, and no two
touch."""
import dataclasses
import struct
import zlib

COLOURS = {
    "red": (220, 30, 30), "green": (20, 150, 40), "blue": (30, 60, 220), "yellow": (245, 220, 20),
    "orange": (255, 140, 0), "purple": (130, 30, 160), "pink": (255, 150, 190), "brown": (130, 75, 30),
    "black": (20, 20, 20), "white": (250, 250, 250), "grey": (150, 150, 150),
}
GROUNDS = ("white", "grey", "black", "yellow", "blue")
SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring")
SIZES = {"small": (6, 8), "large": (12, 14)}  # half the height, in pixels
SIDES = (64, 96, 128)
MOST = {64: 3, 96: 4, 128: 6}  # shapes, by the shorter side
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "middle", "right")
CLEAR = 3  # pixels that a centre keeps from the borders of the nine regions
JITTER = 12  # of each colour's channels


@dataclasses.dataclass(frozen=True)
class Shape:
    kind: str
    colour: str
    rgb: tuple
    size: str
    x: int  # the centre's pixel
    y: int
    r: int

    def name(self):
        return "%s %s" % (self.colour, self.kind)


def covers(kind, dx, dy, r):
    """Whether the shape covers the pixel (dx, dy) from its centre."""
    if kind == "circle":
        return dx * dx + dy * dy <= r * r
    if kind == "square":
        return max(abs(dx), abs(dy)) < r
    if kind == "triangle":
        return abs(dy) <= r and 2 * abs(dx) <= dy + r
    if kind == "diamond":
        return abs(dx) + abs(dy) <= r
    if kind == "cross":
        return max(abs(dx), abs(dy)) <= r and 3 * min(abs(dx), abs(dy)) <= r
    return r * r <= 4 * (dx * dx + dy * dy) <= 4 * r * r  # ring


def region(position, side):
    """0, 1 or 2: which third of the side, or None too near to a border between two."""
    third = 3 * position // side
    near = min(abs(3 * position - side), abs(3 * position - 2 * side)) < 3 * CLEAR
    return None if near else third


def place(scene, shape):
    """Where in the picture: "top left", "middle", "bottom middle" ..."""
    row = ROWS[region(shape.y, scene["height"])]
    column = COLUMNS[region(shape.x, scene["width"])]
    return row if row == column else "%s %s" % (row, column)


def _rgb(rng, colour):
    return tuple(min(255, max(0, c + rng.randint(-JITTER, JITTER))) for c in COLOURS[colour])


def _spot(rng, scene, r):
    """A free centre for a shape of half height r, or None."""
    w, h = scene["width"], scene["height"]
    for _ in range(60):
        x, y = rng.randint(r + 1, w - r - 2), rng.randint(r + 1, h - r - 2)
        if region(x, w) is None or region(y, h) is None:
            continue
        if all(max(abs(x - s.x), abs(y - s.y)) > r + s.r + 2 for s in scene["shapes"]):
            return x, y
    return None


def draw_scene(rng, n=None):
    """A random scene; of n shapes if that many find room."""
    w, h = rng.choice(SIDES), rng.choice(SIDES)
    ground = rng.choice(GROUNDS)
    scene = {"width": w, "height": h, "ground": (ground, _rgb(rng, ground)), "shapes": []}
    few = rng.random() < 0.5  # kinds and colours that come again
    kinds = rng.sample(SHAPES, 2) if few else SHAPES
    colours = [c for c in COLOURS if c != ground]
    colours = rng.sample(colours, 2) if few and rng.random() < 0.7 else colours
    for _ in range(n if n is not None else rng.randint(1, MOST[min(w, h)])):
        add_shape(rng, scene, rng.choice(kinds), rng.choice(colours))
    return scene


def add_shape(rng, scene, kind, colour):
    size = rng.choice(tuple(SIZES))
    r = rng.randint(*SIZES[size])
    spot = _spot(rng, scene, r)
    if spot:
        scene["shapes"].append(Shape(kind, colour, _rgb(rng, colour), size, *spot, r))


def pixels(scene):
    """Rows of bytes r, g, b."""
    rows = [bytearray(bytes(scene["ground"][1]) * scene["width"]) for _ in range(scene["height"])]
    for s in scene["shapes"]:
        for dy in range(-s.r, s.r + 1):
            row = rows[s.y + dy]
            for dx in range(-s.r, s.r + 1):
                if covers(s.kind, dx, dy, s.r):
                    at = 3 * (s.x + dx)
                    row[at : at + 3] = bytes(s.rgb)
    return rows


def png(scene):
    """The bytes of a PNG file."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", scene["width"], scene["height"], 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in pixels(scene)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
