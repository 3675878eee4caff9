"""Hugging Face form in and out."""
import dataclasses
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

import qwen3

HERE = os.path.dirname(os.path.abspath(__file__))


def export(out, model, tokenizer_dir):
    """Writes the whole checkpoint: bf16 weights, configs, tokenizer, chat template."""
    os.makedirs(out, exist_ok=True)
    tensors = {k: v.detach().to("cpu", torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(tokenizer_dir, "tokenizer.json")) as f:
        ids = {t["content"]: t["id"] for t in json.load(f)["added_tokens"]}
    pad, end = ids["<|endoftext|>"], ids["<|im_end|>"]
    generation = {"bos_token_id": pad, "do_sample": False, "eos_token_id": [end, pad], "pad_token_id": pad}
    for name, value in (("config.json", qwen3.config_json(model.c, end, pad)), ("generation_config.json", generation)):
        with open(os.path.join(out, name), "w") as f:
            json.dump(value, f, indent=2, sort_keys=True)
            f.write("\n")
    for source in (os.path.join(tokenizer_dir, "tokenizer.json"), os.path.join(tokenizer_dir, "tokenizer_config.json"),
                   os.path.join(HERE, "chat_template.jinja")):
        target = os.path.join(out, os.path.basename(source))
        if os.path.abspath(source) != os.path.abspath(target):
            shutil.copyfile(source, target)


def load(path):
    """The model of a directory in Hugging Face form, in float32."""
    with open(os.path.join(path, "config.json")) as f:
        config = json.load(f)
    fields = [f.name for f in dataclasses.fields(qwen3.Config)]
    model = qwen3.Model(qwen3.Config(**{k: config[k] for k in fields}))
    model.load_state_dict({k: v.float() for k, v in load_file(os.path.join(path, "model.safetensors")).items()})
    return model.eval()
