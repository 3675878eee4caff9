"""A world of drawn scenes: one or two pictures and questions about shapes, colours, sizes, counts and places. The table,
with each task's range, is at the end; pictures.py has the ranges of the scenes. Needs only the standard library."""
import collections
import dataclasses
import typing
import zlib

import family
import pictures
import tasks

ORDINALS = ("first", "second")


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    draw: typing.Callable  # (rng, scenes) -> fields, or None where the scenes do not allow the question
    ask: typing.Any  # phrasings, or {kind: phrasings}
    answer: typing.Any  # one sentence, or {kind: sentence}
    pictures: int = 1
    weight: float = 1.0

    def turn(self, rng, scenes):
        """(question, answer) or None."""
        fields = self.draw(rng, scenes)
        if fields is None:
            return None
        kind = fields.get("kind")
        asks = self.ask[kind] if isinstance(self.ask, dict) else self.ask
        text = rng.choice(asks).format(**fields)
        if rng.random() < 0.12:
            text = text[0].lower() + text[1:]
        answer = self.answer[kind] if isinstance(self.answer, dict) else self.answer
        return text, answer.format(**fields)


def a(name):
    return ("an " if name[0] in "aeiou" else "a ") + name


def _unique(rng, scene, key):
    """A shape that is the only one of its kind (or colour, or name), or None."""
    counts = collections.Counter(key(s) for s in scene["shapes"])
    alone = [s for s in scene["shapes"] if counts[key(s)] == 1]
    return rng.choice(alone) if alone else None


def _kind(s):
    return s.kind


def _colour(s):
    return s.colour


def _label(rng, scene):
    """(a shape, words that mean it alone), or None."""
    for key in rng.sample((_kind, pictures.Shape.name, _colour), 3):
        s = _unique(rng, scene, key)
        if s:
            return s, s.kind if key is _kind else s.name() if key is not _colour else s.colour + " shape"
    return None


def _two(rng, scene):
    """Two shapes with names of their own, or None."""
    counts = collections.Counter(s.name() for s in scene["shapes"])
    alone = [s for s in scene["shapes"] if counts[s.name()] == 1]
    return rng.sample(alone, 2) if len(alone) > 1 else None


def _plural(name):
    return name + ("es" if name[-1] == "s" else "s")


def _how_many(n, what):
    return "There is 1 %s." % what if n == 1 else "There are %s %s." % (n or "no", _plural(what))


# --- one picture ----------------------------------------------------------------------------------------------------
def _colour_of(rng, scenes):
    s = _unique(rng, scenes[0], _kind)
    return s and {"k": s.kind, "c": s.colour}


def _shape_of(rng, scenes):
    s = _unique(rng, scenes[0], _colour)
    return s and {"k": s.kind, "c": s.colour}


def _count(rng, scenes):
    return {"c": _how_many(len(scenes[0]["shapes"]), "shape")}


def _count_kind(rng, scenes):
    here = [s.kind for s in scenes[0]["shapes"]]
    k = rng.choice(here) if here and rng.random() < 0.75 else rng.choice(pictures.SHAPES)
    return {"k": _plural(k), "c": _how_many(here.count(k), k)}


def _count_colour(rng, scenes):
    here = [s.colour for s in scenes[0]["shapes"]]
    k = rng.choice(here) if here and rng.random() < 0.75 else rng.choice(tuple(pictures.COLOURS))
    return {"k": k, "c": _how_many(here.count(k), k + " shape")}


def _exists(rng, scenes):
    here = [s.name() for s in scenes[0]["shapes"]]
    if not here:
        return None
    if rng.random() < 0.5:
        name = rng.choice(here)
    else:  # often half right
        colour, kind = rng.choice(here).split()
        other = rng.choice(pictures.SHAPES), rng.choice(tuple(pictures.COLOURS))
        name = "%s %s" % ((colour, other[0]) if rng.random() < 0.5 else (other[1], kind))
    return {"kind": "yes" if name in here else "no", "n": a(name), "bare": name}


def _where(rng, scenes):
    found = _label(rng, scenes[0])
    return found and {"n": found[1], "p": pictures.place(scenes[0], found[0])}


def _what_at(rng, scenes):
    scene = scenes[0]
    by = collections.defaultdict(list)
    for s in scene["shapes"]:
        by[pictures.place(scene, s)].append(s)
    if rng.random() < 0.85:
        alone = [p for p, s in by.items() if len(s) == 1]
        if not alone:
            return None
        p = rng.choice(alone)
        return {"kind": "some", "p": p, "n": a(by[p][0].name())}
    free = [p for p in PLACES if p not in by]
    return {"kind": "none", "p": rng.choice(free)}


PLACES = tuple(r if r == c else "%s %s" % (r, c) for r in pictures.ROWS for c in pictures.COLUMNS)


def _relation(rng, scenes):
    two = _two(rng, scenes[0])
    if not two:
        return None
    s, t = two
    side, up = s.x - t.x, s.y - t.y
    fits = [w for w, d in (("left of", -side), ("right of", side), ("above", -up), ("below", up)) if d >= 6]
    wrong = [w for w, d in (("left of", side), ("right of", -side), ("above", up), ("below", -up)) if d >= 6]
    yes = rng.random() < 0.5
    w = rng.choice(fits if yes else wrong)
    return {"kind": "yes" if yes else "no", "s": s.name(), "t": t.name(), "w": w}


def _outermost(rng, scenes):
    shapes = scenes[0]["shapes"]
    if len(shapes) < 2:
        return None
    w, key = rng.choice((("furthest left", lambda s: s.x), ("furthest right", lambda s: -s.x),
                         ("highest", lambda s: s.y), ("lowest", lambda s: -s.y)))
    order = sorted(shapes, key=key)
    return {"w": w, "n": order[0].name()} if key(order[1]) - key(order[0]) >= 5 else None


def _size_of(rng, scenes):
    found = _label(rng, scenes[0])
    return found and {"n": found[1], "z": found[0].size}


def _larger(rng, scenes):
    two = _two(rng, scenes[0])
    if not two or two[0].size == two[1].size:
        return None
    s, t = two
    kind = rng.choice(("larger", "smaller"))
    return {"s": s.name(), "t": t.name(), "z": kind, "n": (s if (s.size == "large") == (kind == "larger") else t).name()}


def _ground(rng, scenes):
    return {"c": scenes[0]["ground"][0]}


def _format(rng, scenes):
    w, h = scenes[0]["width"], scenes[0]["height"]
    return {"c": "square" if w == h else "wide" if w > h else "tall"}


def _describe(rng, scenes):
    """Shape by shape, in the order of the nine places; nothing is said where two share one."""
    scene = scenes[0]
    by = {pictures.place(scene, s): s for s in scene["shapes"]}
    if len(by) < len(scene["shapes"]) or not 1 <= len(by) <= 4:
        return None
    said = ", ".join("%s at the %s" % (a(by[p].name()), p) for p in PLACES if p in by)
    return {"c": said[0].upper() + said[1:], "g": scene["ground"][0]}


# --- two pictures ---------------------------------------------------------------------------------------------------
def _which_has(rng, scenes):
    here = [{s.name() for s in scene["shapes"]} for scene in scenes]
    only = [(i, n) for i in (0, 1) for n in sorted(here[i] - here[1 - i])]
    both = sorted(here[0] & here[1])
    if both and rng.random() < 0.3:
        return {"kind": "both", "n": a(rng.choice(both))}
    if not only:
        return None
    i, n = rng.choice(only)
    return {"kind": "one", "n": a(n), "o": ORDINALS[i]}


def _more(rng, scenes):
    n = [len(scene["shapes"]) for scene in scenes]
    return {"kind": "equal"} if n[0] == n[1] else {"kind": "more", "o": ORDINALS[n[1] > n[0]]}


def _together(rng, scenes):
    return {"c": _how_many(sum(len(scene["shapes"]) for scene in scenes), "shape")}


def _in_picture(one):
    """A question about one of the two."""
    def draw(rng, scenes):
        i = rng.randrange(2)
        fields = one(rng, [scenes[i]])
        return fields and dict(fields, o=ORDINALS[i])

    return draw


def _ground_both(rng, scenes):
    g = [scene["ground"][0] for scene in scenes]
    return {"kind": "yes" if g[0] == g[1] else "no", "g": g[0], "h": g[1]}


# --- no picture -----------------------------------------------------------------------------------------------------
SMALL_TALK = {
    **{k: tasks.SMALL_TALK[k] for k in ("hello", "how", "thanks", "bye")},
    "who": (tasks.SMALL_TALK["who"][0], "I am the tiny observer of Inference-PIO. I look at drawn scenes."),
    "help": (tasks.SMALL_TALK["help"][0], "Show me a picture of shapes: I can name, count, compare and find them."),
}


def _small_talk(rng, scenes):
    kind = rng.choice(tuple(SMALL_TALK))
    return {"kind": kind}


# --- the table ------------------------------------------------------------------------------------------------------
TABLE = (
    Task("colour", _colour_of, ("What colour is the {k}?", "Which colour has the {k}?", "Tell me the colour of the {k}."),
         "The {k} is {c}."),
    Task("shape", _shape_of, ("What shape is {c}?", "Which shape is {c}?", "What is {c} here?", "What is the {c} shape?"),
         "The {k} is {c}."),
    Task("count", _count, ("How many shapes are there?", "Count the shapes.", "How many shapes do you see?",
                           "How many shapes are in the picture?"), "{c}", weight=1.5),
    Task("count_kind", _count_kind, ("How many {k} are there?", "Count the {k}.", "How many {k} do you see?"), "{c}",
         weight=1.5),
    Task("count_colour", _count_colour, ("How many {k} shapes are there?", "Count the {k} shapes.",
                                         "How many shapes are {k}?"), "{c}", weight=1.5),
    Task("exists", _exists, {k: ("Is there {n}?", "Do you see {n}?", "Can you find {n}?") for k in ("yes", "no")},
         {"yes": "Yes, there is {n}.", "no": "No, there is no {bare}."}),
    Task("where", _where, ("Where is the {n}?", "Where do you see the {n}?", "In which place is the {n}?"),
         "The {n} is at the {p}.", weight=1.5),
    Task("what_at", _what_at, {k: ("What is at the {p}?", "What do you see at the {p}?", "Which shape is at the {p}?")
                               for k in ("some", "none")},
         {"some": "At the {p} is {n}.", "none": "There is nothing at the {p}."}, weight=1.5),
    Task("relation", _relation, {k: ("Is the {s} {w} the {t}?", "Does the {s} lie {w} the {t}?") for k in ("yes", "no")},
         {"yes": "Yes, the {s} is {w} the {t}.", "no": "No, the {s} is not {w} the {t}."}, weight=1.5),
    Task("outermost", _outermost, ("Which shape is {w}?", "What is {w}?", "Find the shape that is {w}."),
         "The {n} is {w}.", weight=1.5),
    Task("size", _size_of, ("Is the {n} small or large?", "How big is the {n}?", "What size is the {n}?"),
         "The {n} is {z}."),
    Task("larger", _larger, ("Which is {z}, the {s} or the {t}?", "What is {z}: the {s} or the {t}?"),
         "The {n} is {z}."),
    Task("ground", _ground, ("What colour is the background?", "Which colour has the background?",
                             "What is the colour behind the shapes?"), "The background is {c}.", weight=0.7),
    Task("format", _format, ("Is the picture wide, tall or square?", "What format has the picture?"),
         "The picture is {c}.", weight=0.7),
    Task("describe", _describe, ("Describe the picture.", "What do you see?", "What is in the picture?",
                                 "Tell me what you see."), "{c}, on {g}.", weight=2.5),
    Task("which_has", _which_has, {"one": ("Which picture shows {n}?", "In which picture is {n}?"),
                                   "both": ("Which picture shows {n}?", "In which picture is {n}?")},
         {"one": "The {o} picture shows {n}.", "both": "Both pictures show {n}."}, pictures=2, weight=1.5),
    Task("more", _more, {k: ("Which picture has more shapes?", "Where are more shapes?", "In which picture are more shapes?")
                         for k in ("equal", "more")},
         {"more": "The {o} picture has more shapes.", "equal": "Both have as many."}, pictures=2, weight=1.5),
    Task("together", _together, ("How many shapes are in both pictures together?", "Count the shapes of both pictures.",
                                 "How many shapes do the two pictures have?"), "{c}", pictures=2, weight=1.5),
    Task("colour_in", _in_picture(_colour_of), ("What colour is the {k} in the {o} picture?",
                                                "Which colour has the {k} in the {o} picture?"),
         "The {k} in the {o} picture is {c}.", pictures=2),
    Task("where_in", _in_picture(_where), ("Where is the {n} in the {o} picture?",
                                           "Where in the {o} picture is the {n}?"),
         "The {n} in the {o} picture is at the {p}.", pictures=2),
    Task("describe_one", _in_picture(_describe), ("Describe the {o} picture.", "What is in the {o} picture?"),
         "{c}, on {g}.", pictures=2, weight=1.5),
    Task("same_ground", _ground_both, {k: ("Do both pictures have the same background?", "Are the backgrounds the same?")
                                       for k in ("yes", "no")},
         {"yes": "Yes, both are {g}.", "no": "No, one is {g} and the other is {h}."}, pictures=2, weight=0.7),
    Task("small_talk", _small_talk, {k: v[0] for k, v in SMALL_TALK.items()},
         {k: v[1] for k, v in SMALL_TALK.items()}, pictures=0, weight=0.3),
)
OF = {n: [t for t in TABLE if t.pictures == n] for n in (0, 1, 2)}


class Generator:
    def __init__(self, rng):
        self.rng, self.table = rng, TABLE

    def scenes(self, n):
        rng = self.rng
        out = [pictures.draw_scene(rng) for _ in range(n)]
        if n == 2 and out[0]["shapes"] and rng.random() < 0.4:  # the second shows something of the first
            s = rng.choice(out[0]["shapes"])
            pictures.add_shape(rng, out[1], s.kind, s.colour)
        return out

    def first(self, task, held_out):
        """(scenes, the task's turn). One in 20 scenes is never trained on."""
        while True:
            scenes = self.scenes(task.pictures)
            key = zlib.crc32(repr(scenes).encode())
            if task.pictures and held_out is not None and (key % 20 == 0) != held_out:
                continue
            turn = task.turn(self.rng, scenes)
            if turn:
                return scenes, turn

    def turns(self, task, n, held_out):
        """(scenes, [(question, answer)]): the first of `task`, n more about the same scenes."""
        rng, (scenes, turn) = self.rng, self.first(task, held_out)
        out, others = [turn], OF[len(scenes)]
        for _ in range(n):
            t = rng.choices(others, [o.weight for o in others])[0].turn(rng, scenes)
            out += [t] if t else []
        return scenes, out

    def system(self):
        return self.rng.choice(tasks.SYSTEMS) if self.rng.random() < 0.2 else None

    def example(self):
        """Several turns about one or two pictures."""
        task = self.rng.choices(TABLE, [t.weight for t in TABLE])[0]
        scenes, turns = self.turns(task, 7 if task.pictures else 1, False)
        system, parts = self.system(), []
        for i, (q, answer) in enumerate(turns):
            head = "\n" if i else "<|im_start|>system\n%s<|im_end|>\n" % system if system else ""
            seen = "".join(map(expanded, scenes)) if not i else ""
            parts.append([("%s<|im_start|>user\n%s%s<|im_end|>\n<|im_start|>assistant\n" % (head, seen, q), False),
                          (answer + "<|im_end|>", True)])
        return family.Example(parts, 192 if len(scenes) == 2 else 128, scenes)

    def question(self, task):
        """One question, its pictures before its words; no other turns."""
        scenes, turn = self.first(task, True)
        system = self.system()
        content = [{"type": "image", "image": "%d" % i} for i in range(len(scenes))] + [{"type": "text", "text": turn[0]}]
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": content if scenes else turn[0]})
        return {"task": task.name, "messages": messages, "answer": turn[1], "scenes": scenes}

    def questions(self, n):
        return [self.question(TABLE[i % len(TABLE)]) for i in range(n)]


# --- the form of the prompt -----------------------------------------------------------------------------------------
def expanded(scene):
    """A picture's tokens: one for each 32 x 32 pixels."""
    return "<|vision_start|>%s<|vision_end|>" % ("<|image_pad|>" * (scene["width"] // 32 * (scene["height"] // 32)))


def render(question, picture=lambda scene: "<|vision_start|><|image_pad|><|vision_end|>"):
    """As the chat template has it; with `picture=expanded` as the model reads it."""
    out, scenes = "", iter(question["scenes"])
    for m in question["messages"]:
        parts = [{"type": "text", "text": m["content"]}] if isinstance(m["content"], str) else m["content"]
        text = "".join(picture(next(scenes)) if p["type"] == "image" else p["text"] for p in parts)
        out += "<|im_start|>%s\n%s<|im_end|>\n" % (m["role"], text)
    return out + "<|im_start|>assistant\n"


def completion(question):
    return question["answer"] + "<|im_end|>"


def corpus(rng, n=20000):
    g = Generator(rng)
    for i in range(n):
        for q, answer in g.turns(TABLE[i % len(TABLE)], 3, False)[1]:
            yield "user\n" + q
            yield "assistant\n" + answer
