"""The siblings: what each bundled tiny model is asked, how it is built and which tokens it has. Needs only the standard
library.

A world is a module with
  TABLE           its tasks, in the order of the tables of results
  Generator(rng)  .example() -> Example, a row for training; .question(task) and .questions(n) -> dicts for evaluating:
                  {"task", "answer", and "messages" or, where no template is wanted, "prompt"}, and where it applies
                  "tools", "tool_calls" (those of the answer, parsed), "thought" (what comes before the answer)
  render(q)       the prompt as the model's chat template writes it
  completion(q)   all that the model must say then, its end token included
  corpus(rng)     texts to learn the tokenizer's merges from
An architecture is a module with Config, Model, config_json, to_published and from_published; it needs PyTorch.
"""
import dataclasses
import importlib
import json
import os


@dataclasses.dataclass
class Example:
    """turns: for each, its parts (text, whether the model must learn to say it). Turns at the end are left out where
    the row would be longer than room."""

    turns: list
    room: int
    scenes: list = dataclasses.field(default_factory=list)  # the pictures, in order


@dataclasses.dataclass(frozen=True)
class Sibling:
    name: str  # of its folder in assets/tiny
    model_type: str  # as config.json has it; also the module of its architecture
    world: str  # the module of its questions
    vocab: int
    special: tuple  # tokens that a reader never sees; the first one pads
    ends: tuple  # those that end an answer
    visible: tuple = ()  # further tokens of their own, which are text
    widths: tuple = (128, 384, 1024)  # of the training rows; the last is what the model is trained for
    tokenizer_class: str = "Qwen2Tokenizer"

    def load_world(self):
        return importlib.import_module(self.world)

    def load_architecture(self):
        return importlib.import_module(self.model_type)


def line_of(sibling, question):
    """A question as inference-pio reads it, with all that must be said as its "answer", but for the end token: {"task",
    "messages" or "prompt", "answer"} and, where it has them, "tools". Pictures become data URLs."""
    out = {k: question[k] for k in ("task", "messages", "prompt", "tools") if k in question}
    if question.get("scenes"):
        out["messages"] = [dict(m, content=_shown(m["content"], question["scenes"])) for m in question["messages"]]
    said = sibling.load_world().completion(question)
    end = next(e for e in sibling.ends if said.endswith(e))
    return dict(out, answer=said[: -len(end)])


def _shown(content, scenes):
    import base64

    import pictures

    if isinstance(content, str):
        return content
    url = lambda p: "data:image/png;base64," + base64.b64encode(pictures.png(scenes[int(p["image"])])).decode()
    return [dict(p, image=url(p)) if p["type"] == "image" else p for p in content]


CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHATML_ENDS = ("<|im_end|>", "<|endoftext|>")

SIBLINGS = (
    Sibling("qwen3_4b_instruct_2507", "qwen3", "conversation", 512, CHATML, CHATML_ENDS),
    Sibling("glm_4_7_flash", "glm4_moe_lite", "reasoning", 512,
            ("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"),
            ("<|endoftext|>", "<|user|>", "<|observation|>"),
            ("<think>", "</think>", "<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>",
             "</arg_value>", "<tool_response>", "</tool_response>"),
            widths=(72, 128, 288, 512), tokenizer_class="PreTrainedTokenizerFast"),
    Sibling("qwen3_coder_30b", "qwen3_moe", "coding", 768, CHATML, CHATML_ENDS,
            ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|fim_prefix|>", "<|fim_middle|>",
             "<|fim_suffix|>"),
            widths=(96, 160, 288, 512)),
    Sibling("qwen3_vl_2b", "qwen3_vl", "seeing", 512,
            CHATML + ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"), CHATML_ENDS,
            widths=(128, 192)),
)


def by_name(name):
    for s in SIBLINGS:
        if s.name == name:
            return s
    raise SystemExit("no sibling is called %s: there are %s" % (name, ", ".join(s.name for s in SIBLINGS)))


def of_checkpoint(path):
    """The sibling whose architecture the directory's config.json names."""
    with open(os.path.join(path, "config.json")) as f:
        model_type = json.load(f)["model_type"]
    for s in SIBLINGS:
        if s.model_type == model_type:
            return s
    raise SystemExit("%s: no sibling has the model_type %s" % (path, model_type))
