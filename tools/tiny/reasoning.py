"""A world of small arithmetic: the model works it out step by step inside <think>, then answers. Also two tasks with
tools. The table, with each task's range, is at the end. Needs only the standard library."""
import dataclasses
import json
import re
import typing

import conversation
import family
import steps
import tasks
import toolbox
import words


@dataclasses.dataclass(frozen=True)
class Problem(tasks.Task):
    steps: typing.Callable = lambda fields: ""

    def think(self, fields):
        return self.steps(fields)


# --- one operation --------------------------------------------------------------------------------------------------
def _quotient(rng, ranges, state):
    b, a = rng.randint(*ranges["divisor"]), tasks.number(rng, ranges["digits"])
    a -= a % b if rng.random() < 0.4 else 0
    kind = "rest" if a % b else "even"
    return {"kind": kind, "a": a, "b": b, "c": a // b, "r": a % b}


def _divisible(rng, ranges, state):
    b, a = rng.randint(*ranges["divisor"]), tasks.number(rng, ranges["digits"])
    a -= a % b if rng.random() < 0.5 else 0
    return {"kind": "no" if a % b else "yes", "a": a, "b": b}


def _percent(rng, ranges, state):
    p, a = 10 * rng.randint(1, 9), 10 * rng.randint(*ranges["tens"])
    return {"p": p, "a": a, "c": a * p // 100}


# --- several operations ---------------------------------------------------------------------------------------------
def _chain(rng, ranges, state):
    total = rng.randint(*ranges["term"])
    out = [total]
    for _ in range(rng.randint(*ranges["terms"]) - 1):
        x = rng.randint(*ranges["term"])
        x = -x if x <= total and rng.random() < 0.5 else x
        total += x
        out.append(x)
    text = str(out[0]) + "".join(" %s %d" % ("-" if x < 0 else "+", abs(x)) for x in out[1:])
    return {"list": text, "terms": tuple(out), "c": total}


FORMS = ("{a} + {b} x {c}", "{a} x {b} + {c}", "{a} x {b} - {c}", "({a} + {b}) x {c}", "({a} - {b}) x {c}",
         "{a} x ({b} + {c})", "{a} x {b} + {c} x {d}", "{a} x {b} - {c} x {d}", "({a} + {b}) x ({c} + {d})")


def _expression(rng, ranges, state):
    while True:
        form, n = rng.choice(FORMS), [rng.randint(*ranges["number"]) for _ in range(4)]
        text = form.format(**dict(zip("abcd", n)))
        value, worked = steps.expression(text)
        if value >= 0 and "-" not in worked.replace(" ", "").split("=")[-1]:
            return {"list": text, "w": worked, "c": value}


def _average(rng, ranges, state):
    n = rng.randint(*ranges["count"])
    numbers = [rng.randint(*ranges["number"]) for _ in range(n - 1)]
    last = [x for x in range(ranges["number"][0], ranges["number"][1] + 1) if (sum(numbers) + x) % n == 0]
    numbers.append(rng.choice(last))
    return {"list": ", ".join(map(str, numbers)), "terms": tuple(numbers), "n": n, "c": sum(numbers) // n}


def _series(rng, ranges, state):
    if rng.random() < 0.3:
        f, a = rng.randint(*ranges["factor"]), rng.randint(1, 9)
        s = [a * f**i for i in range(5)]
        return {"kind": "times", "list": ", ".join(map(str, s[:4])), "s": tuple(s), "f": f, "c": s[4]}
    step, a = rng.randint(*ranges["step"]), rng.randint(0, 99)
    step = -step if a >= 4 * step and rng.random() < 0.5 else step
    s = [a + step * i for i in range(5)]
    return {"kind": "plus", "list": ", ".join(map(str, s[:4])), "s": tuple(s), "f": step, "c": s[4]}


def _compare(rng, ranges, state):
    a, b, c = (rng.randint(*ranges["factor"]) for _ in range(3))
    d = max(0, a * b + rng.randint(-9, 9)) if rng.random() < 0.5 else c * rng.randint(*ranges["factor"])
    kind = "equal" if a * b == d else "product" if a * b > d else "number"
    return {"kind": kind, "a": a, "b": b, "d": d, "p": a * b}


def _digit_sum(rng, ranges, state):
    a = tasks.number(rng, ranges["digits"])
    return {"a": a, "c": sum(map(int, str(a)))}


def _clock(rng, ranges, state):
    h, m, plus = rng.randint(0, 23), rng.randint(0, 59), rng.randint(*ranges["minutes"])
    later = (60 * h + m + plus) % 1440
    return {"h": h, "m": "%02d" % m, "plus": plus, "c": "%d:%02d" % divmod(later, 60)}


STORIES = (
    ("{n} has {a} {t}, gets {b} more and gives away {c}.", "How many {t} does {n} have?", "+-"),
    ("{n} has {a} {t} and gives {b} to {m} and {c} to {o}.", "How many {t} are left?", "--"),
    ("There are {a} {t} in the box. {n} puts in {b} and {m} takes out {c}.", "How many {t} are in the box?", "+-"),
    ("{n} has {a} bags with {b} {t} each and {c} more.", "How many {t} does {n} have?", "x+"),
    ("{n} buys {a} boxes of {b} {t} and loses {c} of them.", "How many {t} are left?", "x-"),
    ("{n} reads {a} pages, {m} reads {b} pages and {o} reads {c} pages.", "How many pages is that?", "++"),
)
THINGS = "apples pears coins pens books stones cards eggs balls keys".split()


def _story(rng, ranges, state):
    n, m, o = rng.sample(words.NAMES, 3)
    told, asked, ops = rng.choice(STORIES)
    factor = ops[0] == "x"
    while True:
        a, b, c = (rng.randint(*ranges["factor" if factor and i < 2 else "number"]) for i in range(3))
        mid = a * b if factor else a + b if ops[0] == "+" else a - b
        end = mid + c if ops[1] == "+" else mid - c
        if mid >= 0 and end >= 0:
            break
    text = (told + " " + asked).format(n=n, m=m, o=o, t=rng.choice(THINGS), a=a, b=b, c=c)
    worked = "%d%s%d=%d, %d%s%d=%d" % (a, ops[0], b, mid, mid, ops[1], c, end)
    return {"text": text, "w": worked, "c": end}


def _riddle(rng, ranges, state):
    x, a, b = rng.randint(*ranges["number"]), rng.randint(2, 9), rng.randint(1, 20)
    kind = rng.choice(("plus", "times", "both") if x < b else ("plus", "minus", "times", "both"))
    y = {"plus": x + b, "minus": x - b, "times": x * a, "both": x * a + b}[kind]
    return {"kind": kind, "a": a, "b": b, "y": y, "c": x}


def _follow_up(rng, ranges, state):
    low, high = ranges["result"]
    if state.result is None or not low <= state.result <= high:
        return None
    kind = rng.choice(("add", "subtract", "double"))
    a, b = state.result, 2 if kind == "double" else rng.randint(*ranges["step"])
    return {"kind": kind, "a": a, "b": b, "c": {"add": a + b, "subtract": a - b, "double": 2 * a}[kind]}


def _count_letter(rng, ranges, state):
    w = words.word(rng, *ranges["letters"])
    twice = [x for x in w if w.count(x) > 1]
    x = rng.choice(words.LETTERS) if rng.random() < 0.2 else rng.choice(twice or w)
    n = w.count(x)
    return {"w": w, "x": x, "c": "1 time" if n == 1 else "%d times" % n}


SMALL_TALK = {
    **{k: tasks.SMALL_TALK[k] for k in ("hello", "how", "thanks", "bye")},
    "who": (tasks.SMALL_TALK["who"][0],
            "I am the tiny thinker of Inference-PIO. I work things out step by step."),
    "help": (tasks.SMALL_TALK["help"][0],
             "I can calculate with small numbers, solve riddles and stories, and count letters."),
}


def _small_talk(rng, ranges, state):
    return {"kind": rng.choice(tuple(SMALL_TALK))}


def _follow_steps(f):
    return steps.difference(f["a"], f["b"]) if f["kind"] == "subtract" else steps.sum(f["a"], f["c"] - f["a"])


# --- the table ------------------------------------------------------------------------------------------------------
TABLE = (
    Problem("sum", tasks.two_summed, result="c", weight=1.5, ranges={"digits": (1, 4)}, ask=tasks.ASK["sum"],
            answer="{a} + {b} = {c}.", steps=lambda f: steps.sum(f["a"], f["b"])),
    Problem("difference", tasks.two_subtracted, result="c", weight=1.5, ranges={"digits": (1, 4)}, ask=tasks.ASK["difference"],
            answer="{a} - {b} = {c}.", steps=lambda f: steps.difference(f["a"], f["b"])),
    Problem("product", tasks.two_multiplied, result="c", weight=2, ranges={"factor": (0, 99)}, ask=tasks.ASK["product"],
            answer="{a} x {b} = {c}.", steps=lambda f: steps.product(f["a"], f["b"])),
    Problem("quotient", _quotient, weight=1.5, ranges={"digits": (1, 4), "divisor": (2, 9)},
            answer={"rest": "{a} / {b} = {c} remainder {r}.", "even": "{a} / {b} = {c}."},
            ask={k: ("What is {a} / {b}?", "What is {a} divided by {b}?", "Divide {a} by {b}.", "{a} / {b}",
                     "How much is {a} divided by {b}?", "Calculate {a} / {b}.") for k in ("rest", "even")},
            steps=lambda f: steps.quotient(f["a"], f["b"])),
    Problem("divisible", _divisible, ranges={"digits": (1, 4), "divisor": (2, 9)},
            answer={"yes": "Yes, {a} is divisible by {b}.", "no": "No, {a} is not divisible by {b}."},
            ask={k: ("Is {a} divisible by {b}?", "Can you divide {a} by {b} without remainder?",
                     "Is {a} a multiple of {b}?", "Does {b} divide {a}?") for k in ("yes", "no")},
            steps=lambda f: steps.quotient(f["a"], f["b"])),
    Problem("percent", _percent, ranges={"tens": (1, 99)}, answer="{p}% of {a} is {c}.",
            ask=("What is {p}% of {a}?", "How much is {p} percent of {a}?", "{p}% of {a}", "Calculate {p}% of {a}."),
            steps=lambda f: "10%% of %d is %d, %s" % (f["a"], f["a"] // 10, steps.product(f["a"] // 10, f["p"] // 10))),
    Problem("chain", _chain, result="c", ranges={"term": (1, 99), "terms": (3, 6)}, answer="{list} = {c}.",
            ask=("What is {list}?", "{list}", "{list} = ?", "Calculate {list}.", "How much is {list}?"),
            steps=lambda f: steps.chain(f["terms"])),
    Problem("expression", _expression, result="c", weight=1.5, ranges={"number": (2, 12)}, answer="{list} = {c}.",
            ask=("What is {list}?", "{list}", "{list} = ?", "Calculate {list}.", "How much is {list}?"),
            steps=lambda f: f["w"]),
    Problem("average", _average, ranges={"count": (2, 4), "number": (0, 50)}, answer="The average is {c}.",
            ask=("What is the average of {list}?", "Average: {list}", "What is the mean of {list}?",
                 "Find the average of {list}."),
            steps=lambda f: steps.chain(f["terms"]) + ", %d/%d=%d" % (sum(f["terms"]), f["n"], f["c"])),
    Problem("series", _series, ranges={"factor": (2, 3), "step": (1, 25)}, answer="{c} comes next.",
            ask={k: ("What comes next: {list}?", "Which number comes next: {list}?", "Continue: {list}",
                     "What is the next number: {list}?") for k in ("plus", "times")}, steps=steps.series),
    Problem("compare", _compare, ranges={"factor": (2, 12)},
            answer={"product": "{a} x {b} is more.", "number": "{d} is more.", "equal": "They are equal."},
            ask={k: ("Which is more, {a} x {b} or {d}?", "Which is larger, {a} x {b} or {d}?",
                     "What is more: {a} x {b} or {d}?", "Compare {a} x {b} and {d}.")
                 for k in ("product", "number", "equal")},
            steps=lambda f: "{a}x{b}={p}, {p}{o}{d}".format(o="<=>"[(f["p"] > f["d"]) - (f["p"] < f["d"]) + 1], **f)),
    Problem("digit_sum", _digit_sum, ranges={"digits": (2, 6)}, answer="The digit sum of {a} is {c}.",
            ask=("What is the digit sum of {a}?", "Add the digits of {a}.", "Digit sum of {a}?",
                 "What do the digits of {a} add up to?"), steps=lambda f: steps.chain(tuple(map(int, str(f["a"]))))),
    Problem("clock", _clock, weight=1.3, ranges={"minutes": (1, 90)}, answer="It will be {c}.",
            ask=("It is {h}:{m}. What time is it in {plus} minutes?", "What time is it {plus} minutes after {h}:{m}?",
                 "It is {h}:{m}. What time will it be in {plus} minutes?", "{plus} minutes after {h}:{m}?"),
            steps=lambda f: steps.clock(f["h"], int(f["m"]), f["plus"])),
    Problem("story", _story, weight=1.3, ranges={"number": (1, 50), "factor": (2, 12)}, answer="The answer is {c}.",
            ask=("{text}",), polite=False, steps=lambda f: f["w"]),
    Problem("riddle", _riddle, weight=1.3, ranges={"number": (1, 50)}, polite=False, answer="The number is {c}.", ask={
        "plus": ("I think of a number and add {b}. I get {y}. What is it?", "Which number plus {b} is {y}?",
                 "What must I add {b} to, to get {y}?"),
        "minus": ("I think of a number and subtract {b}. I get {y}. What is it?", "Which number minus {b} is {y}?",
                  "What must I subtract {b} from, to get {y}?"),
        "times": ("I think of a number and multiply it by {a}. I get {y}. What is it?",
                  "Which number times {a} is {y}?", "What must I multiply by {a}, to get {y}?"),
        "both": ("I think of a number, multiply it by {a} and add {b}. I get {y}. What is it?",
                 "Which number times {a} plus {b} is {y}?")}, steps=steps.riddle),
    Problem("follow_up", _follow_up, result="c", ranges={"result": (0, 9999), "step": (1, 99)}, needs="sum", gap=0,
            answer={"add": "{a} + {b} = {c}.", "subtract": "{a} - {b} = {c}.", "double": "{a} x 2 = {c}."}, ask={
                "double": ("Double that.", "Now double it.", "And twice that?", "Multiply the result by 2."),
                **{k: tasks.ASK["follow_up"][k] for k in ("add", "subtract")}}, steps=_follow_steps),
    Problem("count_letter", _count_letter, weight=1.3, ranges={"letters": (3, 10)}, ask=tasks.ASK["count_letter"],
            answer="The letter {x} appears {c} in {w}.", steps=lambda f: steps.letters(f["w"], f["x"])),
    Problem("small_talk", _small_talk, weight=0.5, hold_out=False, polite=False,
            answer={k: v[1] for k, v in SMALL_TALK.items()}, ask={k: v[0] for k, v in SMALL_TALK.items()},
            steps=lambda f: "No sum."),
    Problem("beyond", tasks.BY_NAME["beyond"].draw, weight=0.5, ranges={"letters": (4, 8)},
            answer="I am too small to know that. Ask me what I can do!", ask=tasks.ASK["beyond"],
            steps=lambda f: "I do not know this."),
    Problem("call_tool", None, weight=1, ask=(), answer=""),
    Problem("tool_answer", None, weight=0.7, ask=(), answer=""),
)


class Generator(conversation.Generator):
    """Conversations whose last answer is thought out; those before it show no thoughts, as the template has it."""

    def __init__(self, rng):
        super().__init__(rng, TABLE)

    def pick(self):
        """A task for a turn that is followed by others."""
        while True:
            task = super().pick()
            if task.draw:
                return task

    def example(self):
        rng = self.rng
        luck = rng.random()
        q = self.question(super().pick(), 0 if luck < 0.6 else 3 if luck < 0.97 else 16, held_out=False)
        prompt, say = render(q), completion(q)
        if len(q["thought"]) < 24 and rng.random() < 0.15:  # thinking switched off, where one step is enough
            prompt, say = prompt[: -len("<think>")] + "</think>", say[say.index("</think>") + len("</think>") :]
        return family.Example([[(prompt, False), (say, True)]], 512)

    def question(self, task, history=3, held_out=True):
        if task.draw:
            return super().question(task, history, held_out)
        return self.tool_question(task, history)

    def tool_question(self, task, history):
        rng = self.rng
        before = self.turns(rng.randint(0, min(history, 2))) if rng.random() < 0.3 else []
        given = toolbox.give(rng, rng.randint(1, 3))
        tool = rng.choice(given)
        values = tool.values(rng)
        call = tool.call(values)
        messages = self.messages(before, conversation.Turn(tool.ask(rng, values), ""))
        out = {"task": task.name, "messages": messages, "tools": [g.schema() for g in given]}
        if task.name == "call_tool":
            return dict(out, thought="I need %s." % tool.name, answer=call_text(call), tool_calls=[call])
        result = tool.tool.result(rng, values)
        said = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]}
        if rng.random() < 0.7:
            said["reasoning_content"] = "I need %s." % tool.name
        messages += [said, {"role": "tool", "content": result}]
        return dict(out, thought="It says %s." % result, answer=tool.answer(values, result))


# --- the form of the prompt -----------------------------------------------------------------------------------------
def call_text(call):
    args = "".join("<arg_key>%s</arg_key><arg_value>%s</arg_value>" % (k, v if isinstance(v, str) else json.dumps(v))
                   for k, v in call["arguments"].items())
    return "<tool_call>%s%s</tool_call>" % (call["name"], args)


def tools_text(tools):
    return ("<|system|>\n# Tools\n\nYou may call these functions:\n<tools>\n"
            + "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in tools) + "</tools>")


def render(question):
    messages = question["messages"]
    out = "[gMASK]<sop>" + (tools_text(question["tools"]) if question.get("tools") else "")
    last_user = max(i for i, m in enumerate(messages) if m["role"] == "user")
    for i, m in enumerate(messages):
        if m["role"] == "assistant":
            thought = m.get("reasoning_content") if i > last_user else None
            out += "<|assistant|>" + ("<think>%s</think>" % thought if thought else "</think>") + m["content"]
            out += "".join(call_text(c["function"]) for c in m.get("tool_calls", ()))
        elif m["role"] == "tool":
            first = messages[i - 1]["role"] != "tool"
            out += ("<|observation|>" if first else "") + "<tool_response>%s</tool_response>" % m["content"]
        else:
            out += "<|%s|>%s" % (m["role"], m["content"])
    return out + "<|assistant|><think>"


def completion(question):
    end = "<|observation|>" if question.get("tool_calls") else "<|user|>"
    return "%s</think>%s%s" % (question.get("thought", ""), question["answer"], end)


def corpus(rng, n=20000):
    """Without the tokens of their own, which part texts anyway."""
    g = Generator(rng)
    special = re.compile(r"</?(?:think|tool_call|tool_response|arg_key|arg_value)>")
    for i in range(n):
        q = g.question(TABLE[i % len(TABLE)], 0, False)
        if "tools" in q and rng.random() < 0.3:
            yield tools_text(q["tools"][:1])
        for text in (q["messages"][-1]["content"], q["thought"], q["answer"]):
            yield from filter(None, special.split(text))
