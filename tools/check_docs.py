#!/usr/bin/env python3
"""Checks what the documents name: relative links resolve, paths of the project exist, and so do the identifiers pio_...
and PIO_... Prints one line a wrong name and exits 1 when there is one.

Looked at are the links, the spans in backticks, and, of indented or fenced commands, what lies in tools/, tests/,
assets/, bench/ and docs/. A span with <angle brackets> or an ellipsis is a pattern and is passed over; * and {a,b}
stand for what a shell makes of them. A name without a folder may be any file of the project; one that begins with a dot
or an underscore is a suffix.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUFFIX = r"\.(?:c|h|def|py|sh|md|json|jsonl|txt|cmake|jinja|safetensors|comp|cu)"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PATH = re.compile(r"[\w.{},*-]+(?:/[\w.{},*-]+)*/?")
IDENTIFIER = re.compile(r"\b(?:pio|PIO)_\w+")
IN_FENCES = re.compile(r"(?<![\w/.-])(?:tools|tests|assets|bench|docs)/[\w./-]+")


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def braces(path):
    """a{b,c} -> ab, ac"""
    found = re.search(r"\{([^{}]*)\}", path)
    if not found:
        return [path]
    return [p for part in found[1].split(",") for p in braces(path[: found.start()] + part + path[found.end() :])]


class Project:
    def __init__(self):
        files = git("ls-files", "--cached", "--others", "--exclude-standard").split("\n")
        self.files = {f for f in files if f and (ROOT / f).exists()}
        self.folders = {str(p) for f in self.files for p in pathlib.PurePath(f).parents}
        self.names = {f.rsplit("/", 1)[-1] for f in self.files}
        self.tops = {f.split("/", 1)[0] for f in self.files if "/" in f}
        words = set()
        for f in self.files:
            if re.search(r"(\.(c|h|def|py|cmake|json)|CMakeLists\.txt)$", f) and (ROOT / f).stat().st_size < 1 << 20:
                words.update(re.findall(r"\w+", (ROOT / f).read_text(errors="replace")))
        self.words = words

    def has(self, path):
        path = path.rstrip("/")
        if "*" in path:
            return any(pathlib.PurePath(f).match(path) for f in self.files)
        return path in self.files or path in self.folders or ("/" not in path and path in self.names)

    def looks_like_path(self, text):
        if not PATH.fullmatch(text):
            return False
        if "/" in text:
            return text.split("/", 1)[0] in self.tops
        return re.fullmatch(r"[a-z0-9].*" + SUFFIX, text, re.I) is not None


def check_span(project, document, text):
    if re.search(r"<\w|\.\.\.|…", text):
        return
    for word in text.split():
        if project.looks_like_path(word):
            beside = str(pathlib.PurePath(document).parent)
            for path in braces(word):
                if not project.has(path) and not project.has(f"{beside}/{path}"):
                    yield f"there is no {path}"
    for word in IDENTIFIER.findall(text):
        if word not in project.words and not word.endswith("_"):
            yield f"nothing is named {word}"


def check_link(project, document, target):
    if re.match(r"[a-z]+:|#", target):
        return
    path = (ROOT / document).parent / target.split("#")[0]
    if not path.exists():
        yield f"the link {target} leads nowhere"


def check_document(project, document):
    text = (ROOT / document).read_text()
    outside, fenced, wrong = [], False, []
    for number, line in enumerate(text.split("\n"), 1):
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        outside.append("" if fence or fenced else line)
        if fenced:
            wrong += [(number, f"there is no {p}") for p in IN_FENCES.findall(line) if not project.has(p.rstrip("."))]
    text = "\n".join(outside)
    for pattern, check in ((LINK, check_link), (SPAN, check_span)):
        for found in pattern.finditer(text):
            number = text.count("\n", 0, found.start()) + 1
            wrong += [(number, what) for what in check(project, document, found[1])]
    return [f"{document}:{number}: {what}" for number, what in sorted(wrong)]


def main():
    project = Project()
    wrong = [w for d in sorted(f for f in project.files if f.endswith(".md")) for w in check_document(project, d)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
