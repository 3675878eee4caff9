"""A world of small functions in three languages, and of tools in the XML form of Qwen3-Coder. The table, with each
task's range, is at the end. Needs only the standard library."""
import dataclasses
import json
import re
import typing
import zlib

import family
import functions
import tasks
import toolbox
import words


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    draw: typing.Callable  # (rng, task) -> a question without its history; its last message is the user's or a tool's
    weight: float = 1.0
    language: str = ""  # where the task has one of its own
    chat: bool = True  # else the prompt goes to the model as it stands, and other turns cannot come before it


def fenced(language, code):
    return "```%s\n%s\n```" % (language.fence, code)


def _user(text):
    return [{"role": "user", "content": text}]


def _draw(rng, language, kinds=None):
    return functions.draw(rng, words.made_up, language.name == "JavaScript", kinds)


def _language(rng, task):
    return functions.LANGUAGES[task.language or rng.choice(tuple(functions.LANGUAGES))]


WRITE = (
    "Write a {l} function {f} that {d}.", "In {l}, write {f}, a function that {d}.", "{l}: a function {f} that {d}.",
    "I need a {l} function {f} that {d}.", "Please write {f} in {l}. It {d}.", "Write {f} in {l}: it {d}.",
    "Can you write a {l} function {f} that {d}?", "Code a {l} function {f}. It {d}.")
COMPLETE = ("Complete this function:\n{c}", "Finish this {l} function:\n{c}", "Write the rest:\n{c}",
            "Complete the {l} code:\n{c}")
TRANSLATE = ("Translate this to {l}:\n{c}", "Write this in {l}:\n{c}", "How does this look in {l}?\n{c}",
             "Port this function to {l}:\n{c}")
EXPLAIN = ("What does this function do?\n{c}", "Explain this code:\n{c}", "What is this for?\n{c}",
           "Tell me what this does:\n{c}")
EVALUATE = ("What does {f} return?\n{c}", "What is the value of {f}?\n{c}", "{c}\nWhat does {f} give?",
            "Evaluate {f}:\n{c}")
RENAME = ("Rename the function to {n}:\n{c}", "Call this function {n}:\n{c}", "{c}\nRename it to {n}.",
          "Change the name of the function to {n}:\n{c}")


def _write(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language)
    text = rng.choice(WRITE).format(l=language.name, f=language.call(f), d=f.about)
    return {"messages": _user(text), "answer": fenced(language, language.code(f))}


def _complete(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language)
    code = language.code(f).split("\n")
    code.insert(0, language.about(f))
    shown = rng.randint(2, max(2, len(code) - 2))
    text = rng.choice(COMPLETE).format(l=language.name, c=fenced(language, "\n".join(code[:shown])))
    return {"messages": _user(text), "answer": fenced(language, "\n".join(code))}


def _continue(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language)
    code = (language.about(f) + "\n" + language.code(f) + "\n").split("\n")
    shown = rng.randint(2, max(2, len(code) - 3))
    return {"prompt": "\n".join(code[:shown]) + "\n", "answer": "\n".join(code[shown:])}


def _hole(rng, language):
    """(before, missing, after): a hole between two borders of words in the body, or whole lines of it."""
    f = _draw(rng, language)
    head = language.about(f) + "\n" + language.head(f) + "\n"
    body = language.code(f)[len(language.head(f)) + 1 :]
    if rng.random() < 0.5:
        cuts = [m.start() for m in re.finditer(r"(?m)^", body)] + [len(body)]
    else:
        cuts = [m.start() for m in re.finditer(r"(?<=\w)(?=\W)|(?<=\s)(?=\S)|(?<=\W)(?=\w)|$", body)]
    a, b = sorted(rng.sample(cuts, 2))
    return head + body[:a], body[a:b], body[b:]


def _fim_text(before, after):
    return "<|fim_prefix|>%s<|fim_suffix|>%s<|fim_middle|>" % (before, after)


def _fill(rng, task):
    before, missing, after = _hole(rng, _language(rng, task))
    messages = _user(_fim_text(before, after))
    if rng.random() < 0.5:
        messages.insert(0, {"role": "system", "content": "You are a code completion assistant."})
    return {"messages": messages, "answer": missing}


def _infill(rng, task):
    before, missing, after = _hole(rng, _language(rng, task))
    return {"prompt": _fim_text(before, after), "answer": missing}


def _translate(rng, task):
    a, b = rng.sample(tuple(functions.LANGUAGES.values()), 2)
    f = _draw(rng, a)
    text = rng.choice(TRANSLATE).format(l=b.name, c=fenced(a, a.code(f)))
    return {"messages": _user(text), "answer": fenced(b, b.code(f))}


def _explain(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language)
    text = rng.choice(EXPLAIN).format(c=fenced(language, language.code(f)))
    return {"messages": _user(text), "answer": "It %s." % f.about}


def _evaluate(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language, functions.NUMERIC)
    values = [rng.randint(0, 12) for _ in f.parameters]
    call = "%s(%s)" % (f.name, ", ".join(map(str, values)))
    text = rng.choice(EVALUATE).format(f=call, c=fenced(language, language.code(f)))
    return {"messages": _user(text), "answer": "%s returns %s." % (call, functions.evaluate(f, values))}


def _rename(rng, task):
    language = _language(rng, task)
    f = _draw(rng, language)
    new = dataclasses.replace(f, name=_draw(rng, language).name)
    text = rng.choice(RENAME).format(n=new.name, c=fenced(language, language.code(f)))
    return {"messages": _user(text), "answer": fenced(language, language.code(new))}


# --- tools ----------------------------------------------------------------------------------------------------------
def call_text(call):
    """As Qwen3-Coder says it."""
    args = "".join("<parameter=%s>\n%s\n</parameter>\n" % (k, v) for k, v in call["arguments"].items())
    return "<tool_call>\n<function=%s>\n%s</function>\n</tool_call>" % (call["name"], args)


def _given(rng):
    given = toolbox.give(rng, rng.randint(1, 4))
    return given, {"tools": [g.schema() for g in given]}


def _call_tool(rng, task):
    given, out = _given(rng)
    tool = rng.choice(given)
    values = tool.values(rng)
    call = tool.call(values)
    return dict(out, messages=_user(tool.ask(rng, values)), answer=call_text(call), tool_calls=[call])


def _call_two(rng, task):
    given, out = _given(rng)
    picked = [rng.choice(given) for _ in range(2)]
    values = [tool.values(rng) for tool in picked]
    asks = [tool.ask(rng, v) for tool, v in zip(picked, values)]
    calls = [tool.call(v) for tool, v in zip(picked, values)]
    return dict(out, messages=_user(" ".join(asks)), answer="\n".join(map(call_text, calls)), tool_calls=calls)


def _tool_answer(rng, task):
    given, out = _given(rng)
    tool = rng.choice(given)
    values = tool.values(rng)
    result = tool.tool.result(rng, values)
    said = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": tool.call(values)}]}
    messages = _user(tool.ask(rng, values)) + [said, {"role": "tool", "content": result}]
    return dict(out, messages=messages, answer=tool.answer(values, result))


def _missing_tool(rng, task):
    given = toolbox.give(rng, rng.randint(2, 4))
    tool, rest = given[0], given[1:]
    return {"tools": [g.schema() for g in rest], "messages": _user(tool.ask(rng, tool.values(rng))),
            "answer": "I have no tool for that."}


def _no_tool(rng, task):
    out = _given(rng)[1]
    return dict(out, **rng.choice((_write, _explain, _small_talk))(rng, task))


SMALL_TALK = {
    **{k: tasks.SMALL_TALK[k] for k in ("hello", "how", "thanks", "bye")},
    "who": (tasks.SMALL_TALK["who"][0], "I am the tiny coder of Inference-PIO. My functions are small, but they work."),
    "help": (tasks.SMALL_TALK["help"][0],
             "I can write, complete, explain and translate small functions in Python, C and JavaScript, "
             "and call tools."),
}


def _small_talk(rng, task):
    asks, answer = SMALL_TALK[rng.choice(tuple(SMALL_TALK))]
    return {"messages": _user(rng.choice(asks)), "answer": answer}


def _beyond(rng, task):
    known = tasks.BY_NAME["beyond"]
    text = known.phrase(rng, known.draw(rng, {"letters": (4, 8)}, None))
    return {"messages": _user(text), "answer": "I am too small to know that. Ask me what I can do!"}


# --- the table ------------------------------------------------------------------------------------------------------
# Functions: the kinds of functions.KINDS, constants of 3 to 40, one or two parameters, names of one or two parts.
TABLE = (
    *(Task("write_" + k, _write, 2, k) for k in functions.LANGUAGES),
    *(Task("complete_" + k, _complete, 1, k) for k in functions.LANGUAGES),
    *(Task("fill_" + k, _fill, 1.3, k) for k in functions.LANGUAGES),
    Task("continue", _continue, 2, chat=False),  # code as it stands, its end to be written
    Task("infill", _infill, 2.5, chat=False),  # code as it stands around a hole
    Task("translate", _translate, 2),
    Task("explain", _explain, 1.5),
    Task("evaluate", _evaluate, 3),  # arguments of 0 to 12
    Task("rename", _rename, 1),
    Task("call_tool", _call_tool, 1.5),  # one of 1 to 4 tools
    Task("call_two", _call_two, 1.2),
    Task("tool_answer", _tool_answer, 1.2),
    Task("missing_tool", _missing_tool, 1),
    Task("no_tool", _no_tool, 1),
    Task("small_talk", _small_talk, 0.4),
    Task("beyond", _beyond, 0.5),
)
FIXED = ("small_talk",)  # too few values to keep some from training


class Generator:
    def __init__(self, rng):
        self.rng, self.table = rng, TABLE

    def pick(self):
        return self.rng.choices(TABLE, [t.weight for t in TABLE])[0]

    def draw(self, task, held_out):
        """One in 20 answers is never trained on."""
        while True:
            q = task.draw(self.rng, task)
            key = zlib.crc32((task.name + q["answer"]).encode())
            if held_out is None or task.name in FIXED + ("beyond", "missing_tool", "no_tool") \
                    or (key % 20 == 0) == held_out:
                return dict(q, task=task.name)

    def question(self, task, history=2, held_out=True):
        rng, q = self.rng, self.draw(task, held_out)
        if not task.chat:
            return q
        before, first = [], q["messages"][0]["role"] == "user"
        for _ in range(rng.randint(0, history) if rng.random() < 0.3 else 0):
            other = self.pick()
            if other.chat:
                turn = self.draw(other, False)
                if "tools" not in turn and turn["messages"][0]["role"] == "user":
                    before += turn["messages"] + [{"role": "assistant", "content": turn["answer"]}]
        system = [{"role": "system", "content": rng.choice(tasks.SYSTEMS)}] if first and rng.random() < 0.2 else []
        q["messages"] = system + before + q["messages"] if first else q["messages"]
        return q

    def questions(self, n):
        return [self.question(TABLE[i % len(TABLE)]) for i in range(n)]

    def example(self):
        q = self.question(self.pick(), 2, False)
        return family.Example([[(render(q), False), (completion(q), True)]], 512)


# --- the form of the prompt -----------------------------------------------------------------------------------------
def tools_text(tools):
    out = "\n\n# Tools\n\nYou have access to these tools:\n\n<tools>"
    for tool in (t["function"] for t in tools):
        out += "\n<function>\n<name>%s</name>\n<description>%s</description>\n<parameters>" % (
            tool["name"], tool["description"])
        for name, fields in tool["parameters"]["properties"].items():
            out += "\n<parameter>\n<name>%s</name>\n<type>%s</type>\n</parameter>" % (name, fields["type"])
        out += "\n<required>%s</required>\n</parameters>\n</function>" % json.dumps(tool["parameters"]["required"])
    return out + "\n</tools>"


def render(question):
    if "prompt" in question:
        return question["prompt"]
    out, messages = "", question["messages"]
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    if question.get("tools"):
        out = "<|im_start|>system\n%s%s<|im_end|>\n" % (
            system or "You are a helpful assistant.", tools_text(question["tools"]))
    elif system:
        out = "<|im_start|>system\n%s<|im_end|>\n" % system
    for m in messages[system is not None :]:
        if m["role"] == "tool":
            out += "<|im_start|>user\n<tool_response>\n%s\n</tool_response>\n<|im_end|>\n" % m["content"]
        else:
            calls = "\n".join(call_text(c["function"]) for c in m.get("tool_calls", ()))
            out += "<|im_start|>%s\n%s<|im_end|>\n" % (m["role"], m["content"] + calls)
    return out + "<|im_start|>assistant\n"


def completion(question):
    return question["answer"] + ("<|endoftext|>" if "prompt" in question else "<|im_end|>")


def corpus(rng, n=24000):
    """Without the tokens of their own, which part texts anyway."""
    g = Generator(rng)
    special = re.compile(r"<\|\w+\|>|</?tool_\w+>")
    for i in range(n):
        q = g.question(TABLE[i % len(TABLE)], 0, False)
        if "tools" in q and rng.random() < 0.5:
            yield tools_text(q["tools"])
        for text in (q.get("prompt") or q["messages"][-1]["content"], q["answer"]):
            yield from filter(None, special.split(text))
        yield "assistant\n"
