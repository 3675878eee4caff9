"""Conversations and single questions out of the table in tasks.py. Needs only the standard library."""
import tasks


def _turn(rng, task, state, held_out):
    """One question and its answer: (question, answer), or None where the conversation so far does not allow it.
    held_out: True draws only values that training never sees, False only those that it may see, None either."""
    for _ in range(1000):
        fields = task.draw(rng, task.ranges, state)
        if fields is None:
            return None
        if held_out is None or not task.hold_out or task.held_out(fields) == held_out:
            break
    else:
        return None
    question, answer = task.phrase(rng, fields), task.reply(fields)
    arithmetic = task.name in ("sum", "difference", "product", "follow_up")
    state.result = fields["c"] if arithmetic else None
    if task.name == "tell":
        state.facts[fields["kind"]] = fields["v"]
    state.last_question, state.last_answer = question, answer
    return question, answer


def _tell(rng, fact, state):
    """The turn in which the user tells this one fact."""
    told = tasks.FACTS[fact]
    task, fields = tasks.BY_NAME["tell"], {"kind": fact, "v": told.value(rng)}
    state.facts[fact], state.result = fields["v"], None
    state.last_question, state.last_answer = task.phrase(rng, fields), task.reply(fields)
    return state.last_question, state.last_answer


def _prepare(rng, task, state):
    """The turn that `task` needs before it."""
    if task.needs is None:  # a question about a turn that was too long: any short one will do
        return _turn(rng, tasks.BY_NAME["small_talk"], state, None)
    if task.needs.startswith("tell_"):
        return _tell(rng, task.needs[len("tell_"):], state)
    return _turn(rng, tasks.BY_NAME[task.needs], state, False)


def _pick(rng, table, total):
    luck = rng.random() * total
    for task in table:
        luck -= task.weight
        if luck < 0:
            return task
    return table[-1]


class Generator:
    """Draws from one table of tasks; `rng` is a random.Random."""

    def __init__(self, rng, table=tasks.TASKS):
        self.rng, self.table, self.total = rng, table, sum(t.weight for t in table)

    def turns(self, n, state=None):
        """n turns [(question, answer)] for training: held-out questions never appear."""
        rng, state, out, waiting = self.rng, state or tasks.State(), [], []
        while len(out) < n:
            due = [w for w in waiting if w[0] <= len(out)]
            if due:
                waiting.remove(due[0])
                task = due[0][1]
            else:
                task = _pick(rng, self.table, self.total)
            turn = _turn(rng, task, state, False)
            if turn is None:
                turn = _prepare(rng, task, state)
                waiting.append((len(out) + 1 + rng.randint(0, task.gap), task))
            out.append(turn)
        return out

    def system(self):
        return self.rng.choice(tasks.SYSTEMS) if self.rng.random() < 0.2 else None

    def question(self, task, history=3):
        """One question of `task` with values that training never saw, after up to `history` other turns and what the
        question needs: {"task", "messages", "answer"}."""
        rng, state, before = self.rng, tasks.State(), []
        before = self.turns(rng.randint(0, history) if rng.random() < 0.7 else 0, state)
        turn = _turn(rng, task, state, True)
        while turn is None:
            before.append(_prepare(rng, task, state))
            before += self.turns(rng.randint(0, task.gap) if task.gap else 0, state)
            turn = _turn(rng, task, state, True)
        system = self.system()
        messages = [{"role": "system", "content": system}] if system else []
        for q, a in before:
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        messages.append({"role": "user", "content": turn[0]})
        return {"task": task.name, "messages": messages, "answer": turn[1]}

    def questions(self, n):
        """n fresh questions, each task of the table as often as the others."""
        return [self.question(self.table[i % len(self.table)]) for i in range(n)]


def turn_text(question):
    """What stands between the previous turn and the answer, as chat_template.jinja writes it."""
    return "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n" % question


def system_text(system):
    return "<|im_start|>system\n%s<|im_end|>\n" % system


def render(messages):
    """The prompt of `messages`, the last of them the user's; equal to chat_template.jinja's (evaluate.py checks it)."""
    out = ""
    for m in messages:
        out += "<|im_start|>%s\n%s<|im_end|>\n" % (m["role"], m["content"])
    return out + "<|im_start|>assistant\n"
