"""The siblings beside transformers: prompts, ids, picture values and logits must agree."""
import io

import torch

import data

PAIRS = 20  # how many questions' logits are compared


def _prompts(path, world, tokenizer, questions, rows):
    import transformers

    reference = transformers.AutoTokenizer.from_pretrained(path)
    for q, row in zip(questions, rows):
        text = world.render(q)
        if "messages" in q:
            tools = {"tools": q["tools"]} if "tools" in q else {}
            other = reference.apply_chat_template(q["messages"], tokenize=False, add_generation_prompt=True, **tools)
            assert other == text, (other, text)
        if not q.get("scenes"):
            ids = [i & (data.LEARN - 1) for i in row.ids]
            whole = text + world.completion(q)
            assert reference(whole, add_special_tokens=False).input_ids == ids, whole
            assert tokenizer.encode(whole, add_special_tokens=False).ids == ids, whole


def _picture_inputs(path, model, scenes):
    """What transformers' processor makes of the PNG files, held against what the drawing gives the model directly."""
    import drawing
    import pictures
    from PIL import Image
    from transformers import AutoImageProcessor

    images = [Image.open(io.BytesIO(pictures.png(s))) for s in scenes]
    out = AutoImageProcessor.from_pretrained(path)(images=images, return_tensors="pt")
    mine = model.model.visual.geometry.draw(torch.stack([torch.from_numpy(drawing.packed(s)) for s in scenes]))
    at = 0
    for i, s in enumerate(scenes):
        n = s["width"] * s["height"] // drawing.PATCH**2
        theirs = out["pixel_values"][at : at + n].view(n, 3, 2, -1)[:, :, 0].flatten(1)
        assert (theirs - mine[i, :n]).abs().max() < 1e-5
        at += n
    return {"pixel_values": out["pixel_values"], "image_grid_thw": out["image_grid_thw"]}


def check(path, sibling, model, tokenizer, questions, rows):
    import transformers

    import evaluate

    world = sibling.load_world()
    _prompts(path, world, tokenizer, questions, rows)
    kind = transformers.AutoModelForImageTextToText if sibling.model_type == "qwen3_vl" \
        else transformers.AutoModelForCausalLM
    other = kind.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    worst = 0.0
    for row in rows[:PAIRS]:
        with torch.no_grad():
            ids, mine = evaluate.run(model, sibling, tokenizer, [row], "cpu")
            ids, more = ids.long() & (data.LEARN - 1), {}
            if row.scenes:
                more = _picture_inputs(path, model, row.scenes)
                more["mm_token_type_ids"] = (ids == tokenizer.token_to_id("<|image_pad|>")).int()
            theirs = other(input_ids=ids, **more).logits
        worst = max(worst, ((mine - theirs).pow(2).mean() / theirs.pow(2).mean()).item())
    assert worst < 1e-9, worst
    print("prompts and ids equal transformers' for %d questions; logits' normalised mean squared error at most %.1e" %
          (len(questions), worst))
