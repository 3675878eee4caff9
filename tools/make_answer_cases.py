#!/usr/bin/env python3
"""Makes tests/data/answers/cases.jsonl: answers as models write them, well formed and malformed, with the parts that
tests/unit/test_answer_parser.c expects. What is expected follows from how a case is built, not from the parser.

A line: form, tools (0: none, 1: those below), prompt, answer, and text, reasoning, calls (each [name, arguments]).
"""
import json
import pathlib

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": "boolean"}}}}},
    {"type": "function", "function": {"name": "write_file", "parameters": {"type": "object", "properties": {
        "path": {"type": "string"}, "content": {"type": "string"}, "mode": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}}, "options": {"type": "object"}}}}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "measure", "parameters": {"type": "object", "properties": {
        "x": {"type": "number"}, "label": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}},
]

CALLS = [
    ("get_weather", {"city": "Paris"}),
    ("get_weather", {"city": "São Paulo", "days": 3}),
    ("get_weather", {"city": "42", "days": 42, "exact": True}),
    ("get_weather", {"city": "true", "exact": False}),
    ("get_weather", {"city": ""}),
    ("write_file", {"path": "a.py", "content": "def f(x):\n    return \"a\\n\" + x\n"}),
    ("write_file", {"path": "b.html", "content": "<p>1 < 2 && 3 > 2</p>\n<br/>"}),
    ("write_file", {"path": "c.json", "content": "{\"a\": [1, 2]}", "mode": 493, "tags": ["x", "y z"]}),
    ("write_file", {"path": "d", "content": "null", "mode": None, "options": {"deep": {"er": [1, 2.5, None]}}}),
    ("write_file", {"path": "世界/🌍.txt", "content": "tab\there 'quotes' \"too\" \\ back"}),
    ("now", {}),
    ("measure", {"x": 0.1, "label": "a"}),
    ("measure", {"x": -2.5e-7, "label": None}),
]


def bare(value):
    """A value as the templates write it in tags."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Coder:
    form, opened, closed = "qwen3_coder", "<tool_call>", "</tool_call>"

    @staticmethod
    def argument(key, value):
        return f"<parameter={key}>\n{bare(value)}\n</parameter>\n"

    @classmethod
    def call(cls, name, arguments):
        inside = "".join(cls.argument(k, v) for k, v in arguments.items())
        return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


class Glm:
    form, opened, closed = "glm", "<tool_call>", "</tool_call>"

    @classmethod
    def call(cls, name, arguments):
        inside = "".join(f"<arg_key>{k}</arg_key><arg_value>{bare(v)}</arg_value>" for k, v in arguments.items())
        return f"<tool_call>{name}{inside}</tool_call>"


class Hermes:
    form, opened, closed = "qwen3", "<tool_call>", "</tool_call>"

    @classmethod
    def call(cls, name, arguments):
        return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n</tool_call>"


FORMS = [Coder, Glm, Hermes]
cases = []


def case(form, answer, text="", reasoning="", calls=(), tools=1, prompt=None):
    cases.append({"form": form, "tools": tools, "prompt": prompt, "answer": answer, "text": text,
                  "reasoning": reasoning, "calls": [list(c) for c in calls]})


def well_formed():
    for f in FORMS:
        for call in CALLS:
            case(f.form, f.call(*call), calls=[call])
            case(f.form, "I shall look.\n" + f.call(*call) + "\n", text="I shall look.", calls=[call])
        case(f.form, f.call(*CALLS[0]) + "\n" + f.call(*CALLS[1]), calls=CALLS[:2])
        case(f.form, f.call(*CALLS[10]) + f.call(*CALLS[10]) + f.call(*CALLS[5]), calls=[CALLS[10], CALLS[10], CALLS[5]])
        case(f.form, f.call(*CALLS[0]) + "\nDone.", text="Done.", calls=[CALLS[0]])
        case(f.form, "a " + f.call(*CALLS[0]) + " b", text="a  b", calls=[CALLS[0]])


def plain():
    texts = ["Hello.", "1 < 2 and 3 > 2", "<b>bold</b>", "  two\n\nlines  ", "a <tool", "<", "<<tool_call", "x</function>",
             "Use <tool_call> to call.", "if a<b: print('<function')", "世界 🌍", "</parameter>"]
    for f in FORMS:
        for text in texts:
            case(f.form, text, text=text)
        case(f.form, f.call(*CALLS[0]), text=f.call(*CALLS[0]), tools=0)  # nothing is offered
        for word in ("<tool_call>", "<tool_call>\n", "<tool_call> no name of a tool"):
            case(f.form, word, text=word)


def thinking():
    glm, qwen = "[gMASK]<sop><|user|>hi<|assistant|>", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    for open_, rest in ((glm + "<think>", "glm"), (qwen + "<think>\n", "qwen3")):
        case(rest, "One and one.</think>Two.", "Two.", "One and one.", prompt=open_)
        case(rest, "One.\n</think>\n\nTwo.", "Two.", "One.", prompt=open_)
        case(rest, "\nA\n\nB\n</think>\n\nC\n\nD", "C\n\nD", "A\n\nB", prompt=open_)
        case(rest, "Cut off in thou", "", "Cut off in thou", prompt=open_)
        case(rest, "</think>At once.", "At once.", prompt=open_)
        case(rest, "1 < 2 <thin", "", "1 < 2 <thin", prompt=open_)
    for closed, rest in ((glm + "</think>", "glm"), (qwen + "<think>\n\n</think>\n\n", "qwen3"), (qwen, "qwen3")):
        case(rest, "Two.", "Two.", prompt=closed)
        case(rest, "The tag <think> begins thoughts.", "The tag <think> begins thoughts.", prompt=closed)
    case("qwen3", "<think>\nHm.\n</think>\n\nYes.", "Yes.", "Hm.", prompt=qwen)
    case("qwen3", "<think>Hm.</think>Yes.", "Yes.", "Hm.")
    case("glm", "Look it up.</think>" + Glm.call(*CALLS[1]), "", "Look it up.", [CALLS[1]], prompt=glm + "<think>")
    case("glm", "Look it up." + Glm.call(*CALLS[1]), "", "Look it up.", [CALLS[1]], prompt=glm + "<think>")
    case("glm", "A <tool_call>made_up</tool_call> B</think>C", "C", "A <tool_call>made_up</tool_call> B",
         prompt=glm + "<think>")
    case("qwen3_coder", "<think> is no mark here", "<think> is no mark here", prompt=qwen)


def malformed_coder():
    weather = [("get_weather", {"city": "Paris", "days": 3})]
    paris, three = "<parameter=city>\nParis\n</parameter>\n", "<parameter=days>\n3\n</parameter>\n"
    head = "<tool_call>\n<function=get_weather>\n"
    tail = "</function>\n</tool_call>"
    variants = [
        head + paris + three + "</function>",                                         # no closing call
        head + paris + three + "</tool_call>",                                        # no closing function
        head + paris + three,                                                         # neither
        head + paris + "<parameter=days>\n3\n" + tail,                                # a parameter that is not closed
        head + "<parameter=city>\nParis\n<parameter=days>\n3\n</parameter>\n" + tail, # the first is not closed
        head + paris + "<parameter=days>\n3",                                         # cut off
        head + paris + "<parameter=days>\n3\n</para",                                 # cut off in a tag
        "<function=get_weather>\n" + paris + three + tail,                            # no opening call
        "<function=get_weather>\n" + paris + three + "</function>",
        head + paris + "</parameter>\n" + three + tail,                               # a stray closing tag
        head + "<parameter=city=Paris>\n</parameter>\n" + three + tail,               # key=value in the tag
        head + "<parameter=city=Paris</parameter>\n" + three + tail,
        head + "<parameter=city\nParis\n</parameter>\n" + three + tail,               # a tag that is not closed
        "<tool_call>\n<function=get_weather\n" + paris + three + tail,
        "<tool_call><function=get_weather>" + "<parameter=city>Paris</parameter><parameter=days>3</parameter>" + tail,
        "<tool_call>\n<function = get_weather>\n<parameter = city>\nParis\n</parameter>\n" + three + tail,
        "<tool_call>\n<function=\"get_weather\">\n<parameter=\"city\">\nParis\n</parameter>\n" + three + tail,
        head + paris + "<parameter=days>\n3\n</parameter\n" + tail,                   # a closing tag without its end
        head + paris + "<parameter=city>\nRome\n</parameter>\n" + three + tail,       # twice: the first counts
        head + paris + three + tail + "\n</tool_call>",                               # closed twice
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}\n</tool_call>",
    ]
    for answer in variants:
        case("qwen3_coder", answer, calls=weather)
        case("qwen3_coder", "Well:\n" + answer, text="Well:", calls=weather)
    case("qwen3_coder", head + paris + "</function>\n<function=now>\n</function>\n</tool_call>",
         calls=[("get_weather", {"city": "Paris"}), CALLS[10]])
    case("qwen3_coder", head + paris + "<tool_call>\n<function=now>\n" + tail,
         calls=[("get_weather", {"city": "Paris"}), CALLS[10]])
    case("qwen3_coder", "<function=not_offered>\n" + paris + "</function>",
         text="<function=not_offered>\n" + paris + "</function>")
    case("qwen3_coder", "<tool_call>\n<function=get_wea", text="<tool_call>\n<function=get_wea")
    case("qwen3_coder", "<tool_call>\n<function=now", calls=[CALLS[10]])
    case("qwen3_coder", head + "<parameter=days>\nsoon\n</parameter>\n" + tail, calls=[("get_weather", {"days": "soon"})])
    case("qwen3_coder", head + "<parameter=days>\n 7 \n</parameter>\n" + tail, calls=[("get_weather", {"days": 7})])
    case("qwen3_coder", head + "<parameter=days>\n7.0\n</parameter>\n" + tail, calls=[("get_weather", {"days": 7})])
    case("qwen3_coder", head + "<parameter=exact>\nTrue\n</parameter>\n" + tail, calls=[("get_weather", {"exact": True})])
    case("qwen3_coder", head + "<parameter=unknown>\n[1, 2]\n</parameter>\n" + tail,
         calls=[("get_weather", {"unknown": [1, 2]})])
    case("qwen3_coder", head + "<parameter=unknown>\n[1, 2\n</parameter>\n" + tail,
         calls=[("get_weather", {"unknown": "[1, 2"})])
    case("qwen3_coder", "<tool_call>\n<function=write_file>\n<parameter=tags>\n['a', 'b',]\n</parameter>\n" + tail,
         calls=[("write_file", {"tags": ["a", "b"]})])


def malformed_glm():
    weather = [("get_weather", {"city": "Paris", "days": 3})]
    city, days = "<arg_key>city</arg_key><arg_value>Paris</arg_value>", "<arg_key>days</arg_key><arg_value>3</arg_value>"
    variants = [
        "<tool_call>get_weather\n" + city.replace("><a", ">\n<a") + "\n" + days + "\n</tool_call>",
        "<tool_call> get_weather " + city + days + "</tool_call>",
        "<tool_call>\nget_weather\n" + city + days + "</tool_call>",
        "<tool_call>get_weather" + city + days,                                                 # not closed
        "<tool_call>get_weather" + city + "<arg_key>days</arg_key><arg_value>3",                # cut off
        "<tool_call>get_weather" + city + "<arg_key>days</arg_key><arg_value>3</arg_",
        "<tool_call>get_weather" + city + "<arg_key>days</arg_key><arg_value>3</tool_call>",    # a value not closed
        "<tool_call>get_weather<arg_key>city<arg_value>Paris</arg_value>" + days + "</tool_call>",
        "<tool_call>get_weather<arg_key>city</arg_key>Paris</arg_value>" + days + "</tool_call>",
        "<tool_call>get_weather<arg_key>city</arg_key></arg_key><arg_value>Paris</arg_value>" + days + "</tool_call>",
        "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value" + days + "</tool_call>",
        "<tool_call>get_weather" + city + "</arg_value>" + days + "</tool_call>",               # a stray closing tag
        "<tool_call>get_weather" + city + city.replace("Paris", "Rome") + days + "</tool_call>",
        "<tool_call>get_weather" + city + days + "</tool_call></tool_call>",
        "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 3}}</tool_call>",
    ]
    for answer in variants:
        case("glm", answer, calls=weather)
        case("glm", "Well:\n" + answer, text="Well:", calls=weather)
    case("glm", "<tool_call>now", calls=[CALLS[10]])
    case("glm", "<tool_call>no", text="<tool_call>no")
    case("glm", "<tool_call>get_weather" + city + "<tool_call>now</tool_call>",
         calls=[("get_weather", {"city": "Paris"}), CALLS[10]])
    case("glm", "<tool_call>unknown_but_whole<arg_key>a</arg_key><arg_value>[1]</arg_value></tool_call>",
         calls=[("unknown_but_whole", {"a": [1]})])


def malformed_json():
    weather = [("get_weather", {"city": "Paris", "days": 3})]
    variants = [
        '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}',
        '{"arguments": {"city": "Paris", "days": 3}, "name": "get_weather"}',
        '{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 3}"}',
        '{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}',
        '{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}}',
        "{'name': 'get_weather', 'arguments': {'city': 'Paris', 'days': 3}}",
        '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3,},}',
        '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}',
        '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3',
        '{name: "get_weather", arguments: {city: "Paris", days: 3}}',
        '[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}]',
    ]
    for inside in variants:
        case("qwen3", f"<tool_call>\n{inside}\n</tool_call>", calls=weather)
        case("qwen3", f"<tool_call>{inside}</tool_call>", calls=weather)
        case("qwen3", f"<tool_call>{inside}", calls=weather)
    case("qwen3", '<tool_call>{"name": "now"}</tool_call>', calls=[CALLS[10]])
    case("qwen3", '<tool_call>{"name": "now", "arguments": null}</tool_call>', calls=[CALLS[10]])
    case("qwen3", '<tool_call>{"name": "now", "arguments": ""}</tool_call>', calls=[CALLS[10]])
    case("qwen3", '<tool_call>[{"name": "now"}, {"name": "get_weather", "arguments": {"city": "Rome"}}]</tool_call>',
         calls=[CALLS[10], ("get_weather", {"city": "Rome"})])
    case("qwen3", '<tool_call>{"city": "Paris"}</tool_call>', text='<tool_call>{"city": "Paris"}</tool_call>')
    case("qwen3", '<tool_call>{"name": 7}', text='<tool_call>{"name": 7}')
    case("qwen3", '{"name": "now", "arguments": {}}', text='{"name": "now", "arguments": {}}')


def main():
    for make in (well_formed, plain, thinking, malformed_coder, malformed_glm, malformed_json):
        make()
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tools.json").write_text(json.dumps(TOOLS, indent=1) + "\n")
    lines = [json.dumps(c, ensure_ascii=False) + "\n" for c in cases]
    (folder / "cases.jsonl").write_text("".join(lines))
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
