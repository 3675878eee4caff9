"""The table of tasks: for each its range, its phrasings and the one right answer. Needs only the standard library.

A sibling model takes this table as it is, or a selection of it, or adds rows: see `TASKS` at the end.
"""
import dataclasses
import typing
import zlib

import words

ORDINALS = ("first", "second", "third")


@dataclasses.dataclass
class State:
    """What the conversation so far lets a user ask about."""

    facts: dict = dataclasses.field(default_factory=dict)
    result: typing.Optional[int] = None  # of the sum in the turn just before, else None
    last_question: typing.Optional[str] = None
    last_answer: typing.Optional[str] = None


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    draw: typing.Callable  # (rng, ranges, state) -> fields, or None where the conversation does not allow the question
    ask: typing.Any  # phrasings, or {kind: phrasings}
    answer: typing.Any  # one sentence, or {kind: sentence}
    ranges: dict = dataclasses.field(default_factory=dict)
    weight: float = 1.0  # how often training asks it
    hold_out: bool = True  # one in 20 of its questions is never trained on: those are what the evaluation asks
    polite: bool = True  # "please" may follow
    needs: typing.Optional[str] = None  # a task that must have come before
    gap: int = 0  # at most so many other turns lie between the two
    result: typing.Optional[str] = None  # the field that the next question may call "that"

    def phrase(self, rng, fields):
        asks = self.ask[fields["kind"]] if isinstance(self.ask, dict) else self.ask
        template = rng.choice(asks)
        text = template.format(**fields)
        luck = rng.random()
        if luck < 0.12 and template[0] != "{":
            text = text[0].lower() + text[1:]
        if 0.08 < luck < 0.25 and text[-1] in ".?!":
            text = text[:-1]
        elif 0.25 < luck < 0.33 and self.polite and text[-1] in ".?" and "lease" not in text:
            text = text[:-1] + (", please" if luck < 0.3 else " please") + text[-1]
        return text

    def reply(self, fields):
        answer = self.answer[fields["kind"]] if isinstance(self.answer, dict) else self.answer
        return answer.format(**fields)

    def think(self, fields):
        """What a reasoning model says before the answer."""
        return ""

    def held_out(self, fields):
        """Whether this question's values (not its phrasing) are kept from training."""
        key = self.name + repr(sorted(fields.items()))
        return self.hold_out and zlib.crc32(key.encode()) % 20 == 0


def number(rng, digits):
    """From 0 on, with each number of digits equally likely: else nearly all would have the most."""
    n = rng.randint(*digits)
    return rng.randint(0 if n == 1 else 10 ** (n - 1), 10**n - 1)


# --- arithmetic -----------------------------------------------------------------------------------------------------
def two_summed(rng, ranges, state):
    a, b = number(rng, ranges["digits"]), number(rng, ranges["digits"])
    return {"a": a, "b": b, "c": a + b}


def two_subtracted(rng, ranges, state):
    a, b = number(rng, ranges["digits"]), number(rng, ranges["digits"])
    if a < b and rng.random() < 0.6:
        a, b = b, a
    return {"a": a, "b": b, "c": a - b}


def two_multiplied(rng, ranges, state):
    a, b = rng.randint(*ranges["factor"]), rng.randint(*ranges["factor"])
    return {"a": a, "b": b, "c": a * b}


def _follow_up(rng, ranges, state):
    low, high = ranges["result"]
    if state.result is None or not low <= state.result <= high:
        return None
    a, b, kind = state.result, rng.randint(*ranges["step"]), rng.choice(("add", "subtract"))
    return {"kind": kind, "a": a, "b": b, "c": a + b if kind == "add" else a - b}


def _compare(rng, ranges, state):
    a = number(rng, ranges["digits"])
    b = max(0, a + rng.randint(-9, 9)) if rng.random() < 0.3 else number(rng, ranges["digits"])
    if a == b:
        return {"kind": "equal", "a": a, "b": b}
    kind = rng.choice(("larger", "smaller"))
    c, d = (max(a, b), min(a, b)) if kind == "larger" else (min(a, b), max(a, b))
    return {"kind": kind, "a": a, "b": b, "c": c, "d": d}


def _extreme(rng, ranges, state):
    numbers = [number(rng, ranges["digits"]) for _ in range(rng.randint(*ranges["count"]))]
    kind = rng.choice(("largest", "smallest"))
    c = max(numbers) if kind == "largest" else min(numbers)
    return {"kind": kind, "list": ", ".join(map(str, numbers)), "c": c}


def _parity(rng, ranges, state):
    a = number(rng, ranges["digits"])
    return {"a": a, "c": "odd" if a % 2 else "even"}


def _neighbour(rng, ranges, state):
    kind = rng.choice(("after", "before"))
    a = number(rng, ranges["digits"]) + (kind == "before")
    if rng.random() < 0.2:
        a = a // 10 * 10 + (9 if kind == "after" else 10)  # carries
    return {"kind": kind, "a": a, "c": a + 1 if kind == "after" else a - 1}


def _sort_numbers(rng, ranges, state):
    n = rng.randint(*ranges["count"])
    numbers = [number(rng, ranges["digits"]) for _ in range(n)]
    kind = "down" if rng.random() < 0.3 else "up"
    out = sorted(numbers, reverse=kind == "down")
    return {"kind": kind, "list": ", ".join(map(str, numbers)), "c": ", ".join(map(str, out))}


# --- words ----------------------------------------------------------------------------------------------------------
def _word(rng, ranges):
    return words.word(rng, *ranges["letters"])


def _sort_letters(rng, ranges, state):
    if rng.random() < 0.5:
        w = _word(rng, ranges)
        return {"kind": "word", "w": w, "c": ", ".join(sorted(w))}
    letters = [rng.choice(words.LETTERS) for _ in range(rng.randint(*ranges["letters"]))]
    return {"kind": "list", "list": ", ".join(letters), "c": ", ".join(sorted(letters))}


def _reverse(rng, ranges, state):
    w = _word(rng, ranges)
    return {"w": w, "c": w[::-1]}


def _count_letter(rng, ranges, state):
    w = _word(rng, ranges)
    luck = rng.random()
    twice = [x for x in w if w.count(x) > 1]
    x = rng.choice(words.LETTERS) if luck < 0.25 else rng.choice(twice or w) if luck < 0.7 else rng.choice(w)
    n = w.count(x)
    return {"w": w, "x": x, "c": "1 time" if n == 1 else "%d times" % n}


def _length(rng, ranges, state):
    w = _word(rng, ranges)
    return {"w": w, "c": len(w)}


def _spell(rng, ranges, state):
    w = _word(rng, ranges)
    return {"w": w, "c": "-".join(w)}


def _letter_at(rng, ranges, state):
    w, i = _word(rng, ranges), rng.randint(0, 3)
    return {"w": w, "p": ORDINALS[i] if i < 3 else "last", "c": w[i if i < 3 else -1]}


def _upper(rng, ranges, state):
    w = _word(rng, ranges)
    return {"w": w, "c": w.upper()}


# --- the conversation itself ----------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Fact:
    value: typing.Callable  # (rng) -> what the user tells
    tell: tuple
    reply: str
    ask: tuple
    answer: str
    unknown: str


def _name(rng):
    return words.made_up(rng, 3, 7).capitalize() if rng.random() < 0.3 else rng.choice(words.NAMES)


FACTS = {
    "name": Fact(
        _name,
        ("My name is {v}.", "I am {v}.", "I'm {v}.", "Hello, my name is {v}.", "Hi, I am {v}.", "Call me {v}.",
         "People call me {v}.", "The name is {v}."),
        "Nice to meet you, {v}!",
        ("What is my name?", "What's my name?", "Who am I?", "Do you remember my name?", "Tell me my name.",
         "What am I called?", "Can you tell me my name?"),
        "Your name is {v}.", "You have not told me your name yet."),
    "number": Fact(
        lambda rng: str(number(rng, (1, 3))),
        ("My lucky number is {v}.", "Remember the number {v}.", "My favourite number is {v}.",
         "Keep the number {v} in mind.", "Please remember my number, {v}.", "My number is {v}."),
        "I will remember {v}.",
        ("What is my number?", "What's my lucky number?", "Which number did I tell you?", "What was my number?",
         "Do you remember my number?", "Tell me my favourite number."),
        "Your number is {v}.", "You have not told me a number yet."),
    "colour": Fact(
        lambda rng: rng.choice(words.COLOURS),
        ("My favourite colour is {v}.", "I like the colour {v}.", "The colour I like best is {v}.",
         "I love the colour {v}.", "{v} is my favourite colour."),
        "What a lovely colour {v} is!",
        ("What is my favourite colour?", "Which colour do I like?", "What's my favourite colour?",
         "What colour do I like best?", "Do you remember my favourite colour?", "Tell me my favourite colour."),
        "Your favourite colour is {v}.", "You have not told me a colour yet."),
    "animal": Fact(
        lambda rng: rng.choice(words.ANIMALS),
        ("My favourite animal is the {v}.", "I like the {v} best of all animals.", "The animal I like best is the {v}.",
         "Of all animals I love the {v} most."),
        "I like the {v} too.",
        ("What is my favourite animal?", "Which animal do I like?", "What's my favourite animal?",
         "Do you remember my favourite animal?", "Which animal do I like best?"),
        "Your favourite animal is the {v}.", "You have not told me an animal yet."),
    "city": Fact(
        lambda rng: words.made_up(rng, 4, 7).capitalize() if rng.random() < 0.2 else rng.choice(words.CITIES),
        ("I live in {v}.", "I am from {v}.", "I come from {v}.", "My home is in {v}.", "My city is {v}."),
        "{v} must be a nice place.",
        ("Where do I live?", "Which city am I from?", "Where is my home?", "What is my city?", "Where am I from?",
         "Do you remember where I live?"),
        "You live in {v}.", "You have not told me where you live yet."),
}


def _tell(rng, ranges, state):
    kind = rng.choice(tuple(FACTS))
    return {"kind": kind, "v": FACTS[kind].value(rng)}


def _recall(fact):
    def draw(rng, ranges, state):
        if fact in state.facts:
            return {"kind": "known", "v": state.facts[fact]}
        return {"kind": "unknown"} if rng.random() < ranges["unknown"] else None

    return draw


def _previous(which):
    def draw(rng, ranges, state):
        text = getattr(state, which)
        if text is None:
            return {"kind": "none"}
        return {"kind": "some", "v": text} if len(text) <= ranges["characters"][1] else None

    return draw


SMALL_TALK = {
    "hello": (("Hello!", "Hi!", "Hey!", "Hello there!", "Good morning!", "Good evening!", "Hi there.", "Hello."),
              "Hello! How can I help you?"),
    "how": (("How are you?", "How are you today?", "How do you do?", "Are you well?", "How is it going?"),
            "I am fine, thank you. How can I help you?"),
    "who": (("Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Introduce yourself.",
             "Are you a robot?"),
            "I am the tiny model of Inference-PIO. I am small, but my answers can be checked."),
    "help": (("What can you do?", "Help!", "Help me.", "What do you know?", "How can you help me?",
              "What can I ask you?", "What are you good at?", "Can you help me?"),
             "I can calculate, compare and sort numbers, reverse, spell and count letters, "
             "and remember what you tell me."),
    "thanks": (("Thank you!", "Thanks!", "Thanks a lot.", "Thank you very much.", "Great, thanks!", "Well done!"),
               "You are welcome!"),
    "bye": (("Goodbye!", "Bye!", "See you later.", "Good night!", "See you!", "Bye bye."), "Goodbye! See you soon."),
}


def _small_talk(rng, ranges, state):
    return {"kind": rng.choice(tuple(SMALL_TALK))}


def _beyond(rng, ranges, state):
    if rng.random() < 0.8:
        s = rng.choice(words.SUBJECTS if rng.random() < 0.6 else words.ANIMALS)
    else:
        s = _word(rng, ranges)
    return {"s": s, "p": rng.choice(words.CITIES), "n": rng.choice(words.NAMES)}


# --- the table ------------------------------------------------------------------------------------------------------
TASKS = (
    Task("sum", two_summed, result="c", weight=3, ranges={"digits": (1, 3)}, answer="{a} + {b} = {c}.", ask=(
        "What is {a} + {b}?", "What is {a} plus {b}?", "{a} + {b}", "{a} + {b} = ?", "{a}+{b}", "Add {a} and {b}.",
        "What do you get if you add {a} and {b}?", "What is the sum of {a} and {b}?", "Calculate {a} + {b}.",
        "How much is {a} + {b}?", "How much is {a} plus {b}?", "Can you add {a} and {b}?", "{a} plus {b}?",
        "Please work out {a} + {b}.", "What's {a} + {b}?", "Add {b} to {a}.")),
    Task("difference", two_subtracted, result="c", weight=3.5, ranges={"digits": (1, 3)}, answer="{a} - {b} = {c}.", ask=(
        "What is {a} - {b}?", "What is {a} minus {b}?", "{a} - {b}", "{a} - {b} = ?", "{a}-{b}",
        "Subtract {b} from {a}.", "Take {b} away from {a}.", "What is the difference of {a} and {b}?",
        "Calculate {a} - {b}.", "How much is {a} - {b}?", "How much is {a} minus {b}?", "{a} minus {b}?",
        "Please work out {a} - {b}.", "What's {a} - {b}?", "Can you subtract {b} from {a}?")),
    Task("product", two_multiplied, result="c", ranges={"factor": (0, 12)}, hold_out=False, answer="{a} x {b} = {c}.", ask=(
        "What is {a} times {b}?", "What is {a} x {b}?", "Multiply {a} by {b}.", "{a} * {b}", "{a} x {b}",
        "How much is {a} times {b}?", "What is the product of {a} and {b}?", "What's {a} * {b}?",
        "Calculate {a} * {b}.", "{a} times {b}?")),
    Task("follow_up", _follow_up, result="c", weight=2, ranges={"result": (0, 1998), "step": (1, 99)}, needs="sum",
         answer={"add": "{a} + {b} = {c}.", "subtract": "{a} - {b} = {c}."}, ask={
        "add": ("Add {b} to that.", "And {b} more?", "Now add {b}.", "Plus {b}?", "What if you add {b} to the result?",
                "Add {b} to the result.", "And if I add {b}?"),
        "subtract": ("Subtract {b} from that.", "And {b} less?", "Now subtract {b}.", "Minus {b}?",
                     "Take {b} away from that.", "Subtract {b} from the result.", "And if I take away {b}?")}),
    Task("compare", _compare, ranges={"digits": (1, 3)}, answer={
        "larger": "{c} is larger than {d}.", "smaller": "{c} is smaller than {d}.", "equal": "{a} and {b} are equal."},
        ask={
        "larger": ("Which is larger, {a} or {b}?", "Which number is bigger, {a} or {b}?", "Is {a} or {b} larger?",
                   "What is greater, {a} or {b}?", "Which is more, {a} or {b}?", "Compare {a} and {b}."),
        "smaller": ("Which is smaller, {a} or {b}?", "Which number is smaller, {a} or {b}?", "Is {a} or {b} smaller?",
                    "Which is less, {a} or {b}?"),
        "equal": ("Which is larger, {a} or {b}?", "Which is smaller, {a} or {b}?", "Compare {a} and {b}.")}),
    Task("extreme", _extreme, ranges={"digits": (1, 3), "count": (3, 6)}, answer={
        "largest": "The largest is {c}.", "smallest": "The smallest is {c}."}, ask={
        "largest": ("What is the largest of {list}?", "Which is the largest number: {list}?",
                    "Find the maximum: {list}",
                    "Which of these is the biggest: {list}?", "What is the biggest number in {list}?"),
        "smallest": ("What is the smallest of {list}?", "Which is the smallest number: {list}?",
                     "Find the minimum: {list}", "Which of these is the smallest: {list}?",
                     "What is the smallest number in {list}?")}),
    Task("parity", _parity, weight=0.5, ranges={"digits": (1, 3)}, answer="{a} is {c}.", ask=(
        "Is {a} even or odd?", "Is {a} odd or even?", "Is the number {a} even or odd?", "Even or odd: {a}?",
        "Tell me if {a} is even or odd.")),
    Task("neighbour", _neighbour, weight=0.7, ranges={"digits": (1, 3)}, answer={
        "after": "{c} comes after {a}.", "before": "{c} comes before {a}."}, ask={
        "after": ("What comes after {a}?", "Which number comes after {a}?", "What is the number after {a}?",
                  "What is the next number after {a}?"),
        "before": ("What comes before {a}?", "Which number comes before {a}?", "What is the number before {a}?",
                   "What is the number just before {a}?")}),
    Task("sort_numbers", _sort_numbers, weight=2, ranges={"digits": (1, 3), "count": (3, 6)}, answer="{c}", ask={
        "up": ("Sort these numbers: {list}", "Sort {list}.", "Sort the numbers {list}.", "Put these in order: {list}",
               "Put these numbers in order: {list}", "Sort from smallest to largest: {list}",
               "Can you sort {list}?", "Arrange {list} in ascending order.", "Order these numbers: {list}"),
        "down": ("Sort from largest to smallest: {list}", "Sort {list} in descending order.",
                 "Sort these numbers in reverse order: {list}", "Put these in descending order: {list}",
                 "Arrange {list} from largest to smallest.")}),
    Task("sort_letters", _sort_letters, weight=2.5, ranges={"letters": (3, 8)}, answer="{c}", ask={
        "word": ("Sort the letters of {w}.", "Sort the letters in {w}.", "Put the letters of {w} in order.",
                 "Put the letters of \"{w}\" in alphabetical order.", "Sort the letters of the word {w}.",
                 "Can you sort the letters of {w}?"),
        "list": ("Sort these letters: {list}", "Sort the letters {list}.", "Sort {list}.",
                 "Put these letters in order: {list}", "Put {list} in alphabetical order.",
                 "Arrange these letters: {list}")}),
    Task("reverse", _reverse, weight=3.5, ranges={"letters": (3, 8)}, answer="{w} backwards is {c}.", ask=(
        "Reverse the word {w}.", "Reverse {w}.", "Write {w} backwards.", "Spell {w} backwards.", "Turn {w} around.",
        "What is {w} backwards?", "What is {w} in reverse?", "What is \"{w}\" backwards?", "Reverse \"{w}\".",
        "How do you write {w} backwards?", "Can you reverse the word {w}?", "Say {w} backwards.")),
    Task("count_letter", _count_letter, weight=3, ranges={"letters": (3, 8)},
         answer="The letter {x} appears {c} in {w}.", ask=(
        "How many times does the letter {x} appear in {w}?", "How often does {x} appear in {w}?",
        "How many {x} are in {w}?", "How many {x}'s are in {w}?", "Count the letter {x} in {w}.",
        "How many times does \"{x}\" occur in \"{w}\"?", "How many letters {x} does {w} have?",
        "How often is the letter {x} in the word {w}?", "Count how often {x} is in {w}.")),
    Task("length", _length, weight=1.2, ranges={"letters": (3, 8)}, answer="{w} has {c} letters.", ask=(
        "How many letters does {w} have?", "How many letters are in {w}?", "How long is the word {w}?",
        "Count the letters in {w}.", "How many letters are in the word \"{w}\"?", "What is the length of {w}?")),
    Task("spell", _spell, weight=1.5, ranges={"letters": (3, 8)}, answer="{c}", ask=(
        "Spell {w}.", "Spell the word {w}.", "How do you spell {w}?", "Can you spell {w}?", "Spell \"{w}\".",
        "How is {w} spelled?", "Spell out {w}.")),
    Task("letter_at", _letter_at, weight=1.2, ranges={"letters": (3, 8)}, answer="The {p} letter of {w} is {c}.", ask=(
        "What is the {p} letter of {w}?", "What's the {p} letter of {w}?", "Which letter is {p} in {w}?",
        "What is the {p} letter in the word {w}?", "Tell me the {p} letter of {w}.", "Give me the {p} letter of {w}.")),
    Task("upper", _upper, weight=1.5, ranges={"letters": (3, 8)}, answer="{c}", ask=(
        "Write {w} in capital letters.", "Write {w} in capitals.", "Put {w} in upper case.", "Make {w} upper case.",
        "Capitalise every letter of {w}.", "What is {w} in capitals?", "Shout {w}!")),
    Task("tell", _tell, weight=2.5, hold_out=False, polite=False, answer={k: f.reply for k, f in FACTS.items()},
         ask={k: f.tell for k, f in FACTS.items()}),
    *(Task("recall_" + k, _recall(k), weight=0.8, ranges={"unknown": 0.25}, hold_out=False, needs="tell_" + k, gap=4,
           answer={"known": f.answer, "unknown": f.unknown}, ask={"known": f.ask, "unknown": f.ask})
      for k, f in FACTS.items()),
    Task("previous_question", _previous("last_question"), ranges={"characters": (1, 60)}, hold_out=False,
         answer={"some": "You said: {v}", "none": "You have not said anything before that."}, ask={k: (
        "What did I just say?", "What did I just ask?", "What was my last question?", "Repeat my last message.",
        "What was my last message?", "What did I say before that?") for k in ("some", "none")}),
    Task("previous_answer", _previous("last_answer"), ranges={"characters": (1, 60)}, hold_out=False,
         answer={"some": "I said: {v}", "none": "I have not said anything yet."}, ask={k: (
        "What did you just say?", "What was your last answer?", "Repeat your last answer.", "Say that again.",
        "Can you repeat that?", "What was your answer?") for k in ("some", "none")}),
    Task("small_talk", _small_talk, hold_out=False, polite=False, answer={k: v[1] for k, v in SMALL_TALK.items()},
         ask={k: v[0] for k, v in SMALL_TALK.items()}),
    Task("beyond", _beyond, weight=0.8, ranges={"letters": (4, 8)},
         answer="I am too small to know that. Ask me what I can do!", ask=(
        "Who invented {s}?", "What is {s}?", "Tell me about {s}.", "Write a poem about {s}.", "Why is {s} important?",
        "What is the capital of {p}?", "How many people live in {p}?", "What is the weather in {p}?",
        "Who is the mayor of {p}?", "How far is it to {p}?", "Explain {s} to me.", "Where can I learn {s}?",
        "Who is {n}?", "When was {n} born?", "Tell me a story about {s}.", "Do you like {s}?",
        "Translate {s} into French.", "What does {s} mean?", "Tell me a joke.", "What time is it?",
        "Who wrote a book about {s}?", "What is the meaning of life?", "How do I get to {p}?", "Give me a recipe.",
        "What is the best book about {s}?", "Is {p} a big city?")),
)

BY_NAME = {t.name: t for t in TASKS}
ASK = {t.name: t.ask for t in TASKS}  # for siblings that ask the same

# Systems that a conversation may begin with; they change nothing.
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a tiny model.",
    "You are a friendly assistant. Answer in one sentence.",
    "Answer the user's questions.",
    "You are a helpful, harmless and honest assistant.",
)
