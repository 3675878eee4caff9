"""Conversations and single questions out of a table of tasks; with the table of tasks.py the world of the first sibling
(family.py says what a world is). Needs only the standard library."""
import dataclasses

import family
import tasks

TABLE = tasks.TASKS


@dataclasses.dataclass
class Turn:
    question: str
    answer: str
    thought: str = ""  # what a reasoning model says before the answer


class Generator:
    """Draws from one table of tasks; `rng` is a random.Random."""

    def __init__(self, rng, table=TABLE):
        self.rng, self.table, self.total = rng, table, sum(t.weight for t in table)
        self.by_name = {t.name: t for t in table}

    def pick(self):
        """A task, as often as its weight says."""
        luck = self.rng.random() * self.total
        for task in self.table:
            luck -= task.weight
            if luck < 0:
                return task
        return self.table[-1]

    def draw(self, task, state, held_out):
        """Fields of a question, or None where the conversation so far does not allow it. held_out: True draws only
        values that training never sees, False only those that it may see, None either."""
        for _ in range(1000):
            fields = task.draw(self.rng, task.ranges, state)
            if fields is None:
                return None
            if held_out is None or not task.hold_out or task.held_out(fields) == held_out:
                return fields
        return None

    def turn(self, task, state, held_out):
        """One Turn, or None."""
        fields = self.draw(task, state, held_out)
        if fields is None:
            return None
        turn = Turn(task.phrase(self.rng, fields), task.reply(fields), task.think(fields))
        state.result = fields[task.result] if task.result else None
        if task.name == "tell":
            state.facts[fields["kind"]] = fields["v"]
        state.last_question, state.last_answer = turn.question, turn.answer
        return turn

    def tell(self, fact, state):
        """The turn in which the user tells this one fact."""
        told = tasks.FACTS[fact]
        task, fields = self.by_name["tell"], {"kind": fact, "v": told.value(self.rng)}
        state.facts[fact], state.result = fields["v"], None
        state.last_question, state.last_answer = task.phrase(self.rng, fields), task.reply(fields)
        return Turn(state.last_question, state.last_answer)

    def prepare(self, task, state):
        """The turn that `task` needs before it."""
        if task.needs is None:  # a question about a turn that was too long: any short one will do
            return self.turn(self.by_name["small_talk"], state, None)
        if task.needs.startswith("tell_"):
            return self.tell(task.needs[len("tell_"):], state)
        return self.turn(self.by_name[task.needs], state, False)

    def turns(self, n, state=None):
        """n Turns for training: held-out questions never appear."""
        rng, state, out, waiting = self.rng, state or tasks.State(), [], []
        while len(out) < n:
            due = [w for w in waiting if w[0] <= len(out)]
            if due:
                waiting.remove(due[0])
                task = due[0][1]
            else:
                task = self.pick()
            turn = self.turn(task, state, False)
            if turn is None:
                turn = self.prepare(task, state)
                waiting.append((len(out) + 1 + rng.randint(0, task.gap), task))
            out.append(turn)
        return out

    def system(self):
        return self.rng.choice(tasks.SYSTEMS) if self.rng.random() < 0.2 else None

    def example(self):
        """A conversation that fills a row; of all tokens half lie in short rows, a quarter each in long ones."""
        room = self.rng.choices((128, 384, 1024), (16, 2.7, 1))[0]
        turns, system = self.turns(max(3, room // 22)), self.system()
        parts = []
        for i, t in enumerate(turns):
            head = "" if i else (system_text(system) if system else "")
            parts.append([(("\n" if i else "") + head + turn_text(t.question), False), (t.answer + "<|im_end|>", True)])
        return family.Example(parts, room)

    def before(self, task, history, held_out):
        """(turns so far, the question's Turn), after up to `history` other turns and what the question needs."""
        rng, state, before = self.rng, tasks.State(), []
        before = self.turns(rng.randint(0, history) if rng.random() < 0.7 else 0, state)
        turn = self.turn(task, state, held_out)
        while turn is None:
            before.append(self.prepare(task, state))
            before += self.turns(rng.randint(0, task.gap) if task.gap else 0, state)
            turn = self.turn(task, state, held_out)
        return before, turn

    def question(self, task, history=3, held_out=True):
        """One question, by default with values that training never saw."""
        before, turn = self.before(task, history, held_out)
        out = {"task": task.name, "messages": self.messages(before, turn), "answer": turn.answer}
        return dict(out, thought=turn.thought) if turn.thought else out

    def messages(self, before, turn):
        system = self.system()
        messages = [{"role": "system", "content": system}] if system else []
        for t in before:
            messages += [{"role": "user", "content": t.question}, {"role": "assistant", "content": t.answer}]
        return messages + [{"role": "user", "content": turn.question}]

    def questions(self, n):
        """n fresh questions, each task of the table as often as the others."""
        return [self.question(self.table[i % len(self.table)]) for i in range(n)]


def turn_text(question):
    """What stands between the previous turn and the answer, as chat_template.jinja writes it."""
    return "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n" % question


def system_text(system):
    return "<|im_start|>system\n%s<|im_end|>\n" % system


def render(question):
    out = ""
    for m in question["messages"]:
        out += "<|im_start|>%s\n%s<|im_end|>\n" % (m["role"], m["content"])
    return out + "<|im_start|>assistant\n"


def completion(question):
    return question["answer"] + "<|im_end|>"


def corpus(rng, n_turns=60000):
    """Questions and answers, and the roles' names as often as a template writes them."""
    for t in Generator(rng).turns(n_turns):
        yield "user\n" + t.question
        yield "assistant\n" + t.answer
    for _ in range(n_turns // 20):
        yield "system\n"
