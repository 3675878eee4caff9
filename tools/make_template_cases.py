#!/usr/bin/env python3
"""Writes tests/data/template/cases.jsonl: what Jinja2 makes of templates, with the settings that chat templates get.

Templates are the files in tests/data/template/styles and published, each with every input of inputs.json but the first,
and the texts of snippets.json, each with the first. A case is one line: the template's name ("snippets.json:3" for a
text), the number of its input, and the output, or whether compiling or rendering fails.

    pip install jinja2==3.1.6
    tools/make_template_cases.py
"""
import json
import pathlib

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "template"


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}: its text, unchanged."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("text_of"), [], [], body).set_lineno(line)

    def text_of(self, caller):
        return caller()


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


class Dict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = raise_exception
    env.globals["dict"] = Dict()
    return env


def render(env, text, variables):
    try:
        template = env.from_string(text)
    except jinja2.TemplateError:
        return {"fails": "compile"}
    try:
        return {"output": template.render(**variables)}
    except Exception:  # any error of the reference is one of ours
        return {"fails": "render"}


def main():
    env = environment()
    inputs = json.loads((DATA / "inputs.json").read_text("utf-8"))
    cases = []
    for i, text in enumerate(json.loads((DATA / "snippets.json").read_text("utf-8"))):
        cases.append({"template": f"snippets.json:{i}", "input": 0, **render(env, text, inputs[0])})
    for path in sorted(DATA.glob("*/*.jinja")):
        name = f"{path.parent.name}/{path.name}"
        text = path.read_text("utf-8")
        for i in range(1, len(inputs)):
            cases.append({"template": name, "input": i, **render(env, text, inputs[i])})
    with open(DATA / "cases.jsonl", "w", encoding="utf-8") as out:
        for case in cases:
            out.write(json.dumps(case, ensure_ascii=False) + "\n")
    fails = sum("fails" in case for case in cases)
    print(f"{len(cases)} cases, {fails} of them refusals")


if __name__ == "__main__":
    main()
