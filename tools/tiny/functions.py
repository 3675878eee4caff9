"""Small functions as little trees, and how Python, C and JavaScript write them. Needs only the standard library.

A statement is one of
  ("let", name, expression)  ("add", name, expression)  ("times", name, expression)  ("set", name, expression)
  ("if", condition, [statements])  ("each", list, item, [statements])  ("count", name, from, to inclusive, [statements])
  ("return", expression)  ("print", text)
and an expression is text as C has it, with these exceptions: `@` is the item of the innermost "each", `xs[last]` the
last item, `len(xs)` the number of items, and true, false, && and == become what the language calls them.
"""
import dataclasses
import re

INDENT = "    "


@dataclasses.dataclass(frozen=True)
class Function:
    name: str
    parameters: tuple  # (name, "int" or "list")
    returns: str  # "int", "bool", "text" or "nothing"
    about: str  # what it does: "returns x times 3"
    body: tuple


class Language:
    name, fence, comment, end = "", "", "// ", ";"

    def expression(self, text, item):
        return text.replace("@", item)

    def write(self, statements, depth=1, item=""):
        """The lines of some statements."""
        out, pad = [], INDENT * depth
        for kind, *rest in statements:
            if kind in ("if", "each", "count"):
                head, inner = self.opening(kind, rest, item)
                out += [pad + head, *self.write(rest[-1], depth + 1, inner), *([pad + "}"] if self.end else [])]
            else:
                out.append(pad + self.simple(kind, *[self.expression(x, item) for x in rest]) + self.end)
        return out

    def simple(self, kind, a, b=""):
        return {"let": self.let(a, b), "set": "%s = %s" % (a, b), "add": "%s += %s" % (a, b),
                "times": "%s *= %s" % (a, b), "return": "return " + a, "print": self.say(a)}[kind]

    def code(self, f):
        return "\n".join([self.head(f), *self.write(f.body), *(["}"] if self.end else [])])

    def about(self, f):
        return self.comment + f.about[0].upper() + f.about[1:] + "."

    def call(self, f):
        """The function with its parameters, as a question names it."""
        return "%s(%s)" % (f.name, ", ".join(n for n, _ in f.parameters))


class Python(Language):
    name, fence, comment, end = "Python", "python", "# ", ""

    def head(self, f):
        return "def %s:" % self.call(f)

    def expression(self, text, item):
        for a, b in (("&&", "and"), ("true", "True"), ("false", "False"), ("[last]", "[-1]")):
            text = text.replace(a, b)
        return super().expression(text, item)

    def opening(self, kind, rest, item):
        if kind == "if":
            return "if %s:" % self.expression(rest[0], item), item
        if kind == "each":
            return "for %s in %s:" % (rest[1], rest[0]), rest[1]
        start, stop = rest[1], rest[2]
        stop = str(int(stop) + 1) if stop.isdigit() else stop + " + 1"
        return "for %s in range(%s, %s):" % (rest[0], start, stop), item

    def let(self, name, value):
        return "%s = %s" % (name, value)

    def say(self, text):
        return "print(%s)" % text


class C(Language):
    name, fence = "C", "c"
    TYPES = {"int": "int ", "bool": "bool ", "text": "const char *", "nothing": "void "}

    def parameters(self, f):
        return ", ".join("const int *%s, int n" % n if t == "list" else "int " + n for n, t in f.parameters)

    def head(self, f):
        return "%s%s(%s) {" % (self.TYPES[f.returns], f.name, self.parameters(f))

    def expression(self, text, item):
        return super().expression(text.replace("[last]", "[n - 1]"), item)

    def opening(self, kind, rest, item):
        if kind == "if":
            return "if (%s) {" % self.expression(rest[0], item), item
        if kind == "each":
            return "for (int i = 0; i < n; i++) {", rest[0] + "[i]"
        return "for (int {0} = {1}; {0} <= {2}; {0}++) {{".format(*rest[:3]), item

    def let(self, name, value):
        return "int %s = %s" % (name, value)

    def say(self, text):
        return "puts(%s)" % text


class JavaScript(Language):
    name, fence = "JavaScript", "javascript"

    def head(self, f):
        return "function %s {" % self.call(f)

    def expression(self, text, item):
        text = re.sub(r"(\w+)\[last\]", r"\1[\1.length - 1]", text).replace("==", "===")
        return super().expression(text, item)

    def opening(self, kind, rest, item):
        if kind == "if":
            return "if (%s) {" % self.expression(rest[0], item), item
        if kind == "each":
            return "for (const %s of %s) {" % (rest[1], rest[0]), rest[1]
        return "for (let {0} = {1}; {0} <= {2}; {0}++) {{".format(*rest[:3]), item

    def let(self, name, value):
        return "let %s = %s" % (name, value)

    def say(self, text):
        return "console.log(%s)" % text


LANGUAGES = {"python": Python(), "c": C(), "javascript": JavaScript()}


# --- kinds of functions ---------------------------------------------------------------------------------------------
NUMBERS = "x y a b v w value number price age width height size score speed".split()
LISTS = "xs values numbers items data scores prices ages".split()
VERBS = "get find compute make take give check do calc read pick use".split()
WORDS = "hello goodbye yes no red blue big small cold warm good bad even odd old young".split()

# (about, expression); {k} and {m} are constants, {x} and {y} parameters
LINES = (
    ("returns {x} plus {k}", "{x} + {k}"), ("returns {x} minus {k}", "{x} - {k}"), ("returns {x} times {k}", "{x} * {k}"),
    ("returns {x} times {k} plus {m}", "{x} * {k} + {m}"), ("returns {x} times {k} minus {m}", "{x} * {k} - {m}"),
    ("returns the square of {x}", "{x} * {x}"), ("returns {x} squared plus {k}", "{x} * {x} + {k}"),
    ("returns the sum of {x} and {y}", "{x} + {y}"), ("returns {x} minus {y}", "{x} - {y}"),
    ("returns the product of {x} and {y}", "{x} * {y}"), ("returns the sum of {x} and {y} plus {k}", "{x} + {y} + {k}"),
    ("returns {x} times {k} plus {y}", "{x} * {k} + {y}"),
)
TESTS = (
    ("{x} is even", "{x} % 2 == 0"), ("{x} is odd", "{x} % 2 == 1"), ("{x} is divisible by {k}", "{x} % {k} == 0"),
    ("{x} is greater than {k}", "{x} > {k}"), ("{x} is less than {k}", "{x} < {k}"), ("{x} is {k}", "{x} == {k}"),
    ("{x} is from {k} to {m}", "{x} >= {k} && {x} <= {m}"),
)
PICKS = (("even", "@ % 2 == 0"), ("greater than {k}", "@ > {k}"), ("less than {k}", "@ < {k}"),
         ("divisible by {k}", "@ % {k} == 0"), ("equal to {k}", "@ == {k}"))


def _line(v, rng):
    about, e = rng.choice(LINES)
    names = tuple((v[n], "int") for n in ("x", "y") if "{%s}" % n in about)
    return names, "int", about, [("return", e)]


def _test(v, rng):
    about, e = rng.choice(TESTS)
    return ((v["x"], "int"),), "bool", "tells whether " + about, [("return", e)]


def _word(v, rng):
    about, e = rng.choice(TESTS)
    return (((v["x"], "int"),), "text", 'returns "{u}" if ' + about + ', else "{w}"',
            [("if", e, [("return", '"{u}"')]), ("return", '"{w}"')])


def _larger(v, rng):
    which, op = rng.choice((("larger", ">"), ("smaller", "<")))
    return (((v["x"], "int"), (v["y"], "int")), "int", "returns the %s of {x} and {y}" % which,
            [("if", "{x} %s {y}" % op, [("return", "{x}")]), ("return", "{y}")])


def _limit(v, rng):
    return (((v["x"], "int"),), "int", "limits {x} to the range from {k} to {m}",
            [("if", "{x} < {k}", [("return", "{k}")]), ("if", "{x} > {m}", [("return", "{m}")]), ("return", "{x}")])


def _absolute(v, rng):
    return (((v["x"], "int"),), "int", "returns the absolute value of {x}",
            [("if", "{x} < 0", [("return", "-{x}")]), ("return", "{x}")])


def _add_up(v, rng):
    about, e = rng.choice((("sum of {l}", "@"), ("sum of the squares of {l}", "@ * @"),
                           ("sum of {l}, each times {k}", "@ * {k}")))
    return (((v["l"], "list"),), "int", "returns the " + about,
            [("let", "total", "0"), ("each", "{l}", "item", [("add", "total", e)]), ("return", "total")])


def _how_many(v, rng):
    about, e = rng.choice(PICKS)
    return (((v["l"], "list"),), "int", "counts the items of {l} that are " + about,
            [("let", "count", "0"), ("each", "{l}", "item", [("if", e, [("add", "count", "1")])]), ("return", "count")])


def _extreme(v, rng):
    which, op = rng.choice((("largest", ">"), ("smallest", "<")))
    return (((v["l"], "list"),), "int", "returns the %s item of {l}" % which,
            [("let", "best", "{l}[0]"), ("each", "{l}", "item", [("if", "@ %s best" % op, [("set", "best", "@")])]),
             ("return", "best")])


def _holds(v, rng):
    about, e = rng.choice(PICKS)
    return (((v["l"], "list"),), "bool", "tells whether {l} holds an item " + about,
            [("each", "{l}", "item", [("if", e, [("return", "true")])]), ("return", "false")])


def _end(v, rng):
    which, e = rng.choice((("first", "{l}[0]"), ("last", "{l}[last]")))
    return ((v["l"], "list"),), "int", "returns the %s item of {l}" % which, [("return", e)]


def _up_to(v, rng):
    which, kind, start = rng.choice((("sum", "add", "0"), ("product", "times", "1")))
    return (((v["x"], "int"),), "int", "returns the %s of the numbers from 1 to {x}" % which,
            [("let", "result", start), ("count", "i", "1", "{x}", [(kind, "result", "i")]), ("return", "result")])


def _power(v, rng):
    return (((v["x"], "int"), (v["y"], "int")), "int", "returns {x} to the power of {y}",
            [("let", "result", "1"), ("count", "i", "1", "{y}", [("times", "result", "{x}")]), ("return", "result")])


def _shout(v, rng):
    many = rng.random() < 0.5
    return (((v["x"], "int"),) if many else (), "nothing", 'prints "{u}" %s times' % ("{x}" if many else "{k}"),
            [("count", "i", "1", "{x}" if many else "{k}", [("print", '"{u}"')])])


KINDS = (_line, _test, _word, _larger, _limit, _absolute, _add_up, _how_many, _extreme, _holds, _end, _up_to, _power,
         _shout)
WEIGHTS = (4, 2, 2, 1, 1, 1, 1.5, 2, 1, 1.5, 1, 1, 1, 1)
NUMERIC = (_line, _test, _word, _larger, _limit, _absolute)  # those that evaluate() knows


def _fill(body, v):
    return tuple(tuple(x.format(**v) if isinstance(x, str) else _fill(x, v) for x in s) for s in body)


def _name(rng, made_up, camel):
    first = rng.choice(VERBS) if rng.random() < 0.5 else made_up(rng, 3, 6)
    if rng.random() < 0.4:
        return first
    second = rng.choice(NUMBERS) if rng.random() < 0.3 else made_up(rng, 3, 6)
    return first + second.capitalize() if camel else first + "_" + second


def draw(rng, made_up, camel=False, kinds=None):
    """A function with names and constants of its own; `made_up` makes words (words.made_up)."""
    x, y = rng.sample(NUMBERS, 2)
    u, w = rng.sample(WORDS, 2)
    k = rng.randint(3, 20)
    v = {"x": x, "y": y, "l": rng.choice(LISTS), "u": u, "w": w, "k": k, "m": k + rng.randint(1, 20)}
    kind = rng.choice(kinds) if kinds else rng.choices(KINDS, WEIGHTS)[0]
    parameters, returns, about, body = kind(v, rng)
    about = about.format(**v)
    return Function(_name(rng, made_up, camel), parameters, returns, about, _fill(body, v))


def evaluate(f, values):
    """What a function of NUMERIC returns, as an answer says it."""
    scope = dict(zip((n for n, _ in f.parameters), values))
    python = LANGUAGES["python"]
    for kind, *rest in f.body:
        if kind == "if" and not eval(python.expression(rest[0], ""), {}, scope):
            continue
        e = rest[1][0][1] if kind == "if" else rest[0]
        value = eval(python.expression(e, ""), {}, scope)
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return None
