"""Tools that a model can be given: their schemas in the form of OpenAI's interface, what a user says who needs one, what
it returns, and what is then to be said. Needs only the standard library."""
import dataclasses
import typing

import words


def _file(rng):
    folder = rng.choice(("", "", "src/", "docs/", "tests/", "lib/"))
    stem = rng.choice(words.WORDS) if rng.random() < 0.6 else words.made_up(rng, 3, 7)
    return folder + stem + rng.choice((".py", ".c", ".js", ".txt", ".md", ".json"))


def _folder(rng):
    return rng.choice(("src", "docs", "tests", "lib", rng.choice(words.WORDS), words.made_up(rng, 3, 7)))


def _word(rng):
    return words.word(rng, 3, 8)


def _city(rng):
    return rng.choice(words.CITIES)


def _name(rng):
    return rng.choice(words.NAMES)


def _small(rng):
    return rng.randint(1, 99)


def _language(rng):
    return rng.choice(("French", "German", "Spanish", "Italian", "Polish", "Dutch"))


@dataclasses.dataclass(frozen=True)
class Parameter:
    names: tuple  # one of them stands in the schema
    type: str
    draw: typing.Callable  # (rng) -> a value


@dataclasses.dataclass(frozen=True)
class Tool:
    names: tuple
    about: str
    parameters: tuple
    ask: tuple  # {0}, {1}: the values
    result: typing.Callable  # (rng, values) -> text
    answer: str  # {0}, {1}: the values, {r}: the result


FILE = Parameter(("path", "file", "filename"), "string", _file)
FOLDER = Parameter(("folder", "path", "directory"), "string", _folder)
CITY = Parameter(("city", "place", "location"), "string", _city)

TOOLS = (
    Tool(("read_file", "open_file", "show_file"), "Shows a file.", (FILE,),
         ("Show me {0}.", "What is in {0}?", "Read {0}.", "Open the file {0}."),
         lambda rng, v: " ".join(_word(rng) for _ in range(rng.randint(1, 3))), "{0} says: {r}"),
    Tool(("count_lines", "line_count"), "Counts the lines of a file.", (FILE,),
         ("How many lines does {0} have?", "How long is {0}?", "Count the lines of {0}."),
         lambda rng, v: str(rng.randint(1, 999)), "{0} has {r} lines."),
    Tool(("write_file", "save_file"), "Writes a text to a file.",
         (FILE, Parameter(("text", "content"), "string", _word)),
         ("Write {1} to {0}.", "Save {1} in {0}.", "Put {1} into the file {0}."),
         lambda rng, v: "ok", "I wrote {1} to {0}."),
    Tool(("delete_file", "remove_file"), "Deletes a file.", (FILE,),
         ("Delete {0}.", "Remove the file {0}.", "Get rid of {0}."), lambda rng, v: "ok", "{0} is gone."),
    Tool(("list_files", "list_folder"), "Lists the files of a folder.", (FOLDER,),
         ("Which files are in {0}?", "List the folder {0}.", "What does the folder {0} hold?"),
         lambda rng, v: ", ".join(_file(rng).split("/")[-1] for _ in range(rng.randint(1, 3))), "{0} holds {r}."),
    Tool(("find_text", "search", "grep"), "Finds a word in a folder.",
         (Parameter(("word", "pattern", "query"), "string", _word), FOLDER),
         ("Where in {1} is the word {0}?", "Find {0} in {1}.", "Search {1} for {0}."),
         lambda rng, v: "%s:%d" % (_file(rng), rng.randint(1, 999)), "I found {0} in {r}."),
    Tool(("run_tests", "test"), "Runs the tests of a file.", (FILE,),
         ("Test {0}.", "Run the tests of {0}.", "Do the tests of {0} pass?"),
         lambda rng, v: "%d passed, %d failed" % (rng.randint(1, 99), rng.randint(0, 9)), "{0}: {r}."),
    Tool(("last_commit", "git_last"), "Tells who made the last commit.", (),
         ("Who made the last commit?", "Who committed last?", "Whose is the last commit?"),
         lambda rng, v: _name(rng), "{r} made the last commit."),
    Tool(("get_weather", "weather"), "Tells the weather in a city.", (CITY,),
         ("What is the weather in {0}?", "How is the weather in {0}?", "Is it warm in {0}?"),
         lambda rng, v: "%d degrees, %s" % (rng.randint(0, 35), rng.choice(("rain", "sun", "wind", "clouds", "snow"))),
         "The weather in {0}: {r}."),
    Tool(("get_time", "clock"), "Tells the time in a city.", (CITY,),
         ("What time is it in {0}?", "How late is it in {0}?", "Tell me the time in {0}."),
         lambda rng, v: "%d:%02d" % (rng.randint(0, 23), rng.randint(0, 59)), "It is {r} in {0}."),
    Tool(("add_numbers", "sum"), "Adds two numbers.",
         (Parameter(("a", "x", "first"), "integer", _small), Parameter(("b", "y", "second"), "integer", _small)),
         ("Add {0} and {1} with the tool.", "Let the tool add {0} and {1}.", "Use the tool: {0} + {1}."),
         lambda rng, v: str(v[0] + v[1]), "{0} + {1} = {r}."),
    Tool(("set_timer", "timer"), "Sets a timer.", (Parameter(("minutes", "time"), "integer", _small),),
         ("Set a timer of {0} minutes.", "Wake me in {0} minutes.", "Start a timer of {0} minutes."),
         lambda rng, v: "ok", "The timer is set to {0} minutes."),
    Tool(("translate", "translate_word"), "Translates a word.",
         (Parameter(("word", "text"), "string", _word), Parameter(("language", "to"), "string", _language)),
         ("Translate {0} into {1}.", "What is {0} in {1}?", "How do you say {0} in {1}?"),
         lambda rng, v: words.made_up(rng, 3, 8), "{0} is {r} in {1}."),
    Tool(("send_message", "send"), "Sends a message to somebody.",
         (Parameter(("to", "name"), "string", _name), Parameter(("text", "message"), "string", _word)),
         ("Send {0} the message {1}.", "Tell {0} this: {1}.", "Write {1} to {0}, please."),
         lambda rng, v: "sent", "I sent {1} to {0}."),
)


@dataclasses.dataclass
class Given:
    """A tool with the names that it goes by in one conversation."""

    tool: Tool
    name: str
    parameters: tuple

    def schema(self):
        of = {n: {"type": p.type} for n, p in zip(self.parameters, self.tool.parameters)}
        return {"type": "function", "function": {
            "name": self.name, "description": self.tool.about,
            "parameters": {"type": "object", "properties": of, "required": list(self.parameters)}}}

    def values(self, rng):
        return [p.draw(rng) for p in self.tool.parameters]

    def call(self, values):
        return {"name": self.name, "arguments": dict(zip(self.parameters, values))}

    def ask(self, rng, values):
        return rng.choice(self.tool.ask).format(*values)

    def answer(self, values, result):
        return self.tool.answer.format(*values, r=result)


def give(rng, n):
    """n different tools under names of their own."""
    out = []
    for tool in rng.sample(TOOLS, n):
        names = []
        for p in tool.parameters:
            names.append(rng.choice([x for x in p.names if x not in names]))
        out.append(Given(tool, rng.choice(tool.names), tuple(names)))
    return out
