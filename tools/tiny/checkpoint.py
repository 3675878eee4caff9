"""Hugging Face form in and out."""
import dataclasses
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def _write(out, name, value):
    with open(os.path.join(out, name), "w") as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write("\n")


def export(out, sibling, model, tokenizer_dir):
    """Writes the whole checkpoint: bf16 weights, configs, tokenizer, chat template."""
    os.makedirs(out, exist_ok=True)
    architecture = sibling.load_architecture()
    tensors = {}
    for name, w in architecture.to_published(model).items():
        wide = name.endswith("e_score_correction_bias")  # rounded it would change who is chosen
        tensors[name] = w.detach().to("cpu", torch.float32 if wide else torch.bfloat16).contiguous()
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(tokenizer_dir, "tokenizer.json")) as f:
        ids = {t["content"]: t["id"] for t in json.load(f)["added_tokens"]}
    pad = ids[sibling.special[0]]
    generation = {"do_sample": False, "eos_token_id": [ids[e] for e in sibling.ends], "pad_token_id": pad}
    if "<sop>" not in ids:
        generation["bos_token_id"] = pad
    _write(out, "config.json", architecture.config_json(model.c, ids))
    _write(out, "generation_config.json", generation)
    for name, value in getattr(architecture, "FURTHER_FILES", {}).items():
        _write(out, name, value)
    for source, name in ((os.path.join(tokenizer_dir, "tokenizer.json"), "tokenizer.json"),
                         (os.path.join(tokenizer_dir, "tokenizer_config.json"), "tokenizer_config.json"),
                         (os.path.join(HERE, "chat_templates", sibling.name + ".jinja"), "chat_template.jinja")):
        target = os.path.join(out, name)
        if os.path.abspath(source) != os.path.abspath(target):
            shutil.copyfile(source, target)


def pick(kind, values):
    """The dataclass `kind` out of a dictionary that has more."""
    return kind(**{f.name: values[f.name] for f in dataclasses.fields(kind) if f.name in values})


def load(path, sibling):
    """(the model of a directory in Hugging Face form, its tensors), in float32."""
    architecture = sibling.load_architecture()
    with open(os.path.join(path, "config.json")) as f:
        config = architecture.read_config(json.load(f))
    model = architecture.Model(config)
    tensors = {k: v.float() for k, v in load_file(os.path.join(path, "model.safetensors")).items()}
    architecture.from_published(model, tensors)
    return model.eval(), tensors
