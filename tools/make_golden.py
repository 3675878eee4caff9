#!/usr/bin/env python3
"""Makes tests/data/golden/: small random checkpoints in Hugging Face form, each with golden.safetensors beside it.
usage: make_golden.py OUT_DIR [--only NAME]    (needs: pip install torch transformers)

golden.safetensors holds what transformers computes in float32 from the stored weights: `input_ids` [tokens] and their
`logits` [tokens, vocab], `greedy_ids` (the first `prompt_len` input ids and their greedy continuation). A seed is
taken only if every greedy choice has a clear margin, so that rounding cannot turn it, and the continuation does not
repeat itself from the start.
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

N_TOKENS, N_GREEDY, DISTINCT = 96, 24, 12
MARGIN = {"qwen3": 0.1, "qwen3_moe": 0.05, "glm4_moe_lite": 0.05}

COMMON = {"architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
          "bos_token_id": None, "eos_token_id": 2, "hidden_act": "silu", "initializer_range": 0.02,
          "max_position_embeddings": 512, "model_type": "qwen3", "rms_norm_eps": 1e-6, "sliding_window": None,
          "use_cache": True, "use_sliding_window": False}

MOE = {**COMMON, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 64,
       "intermediate_size": 96, "moe_intermediate_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
       "output_router_logits": False, "router_aux_loss_coef": 0.001, "vocab_size": 256}
GLM = {"architectures": ["Glm4MoeLiteForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
       "eos_token_id": [0, 1, 2], "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 96, "kv_lora_rank": 32,
       "max_position_embeddings": 512, "model_type": "glm4_moe_lite", "moe_intermediate_size": 32,
       "norm_topk_prob": True, "num_attention_heads": 4, "num_experts_per_tok": 3, "num_key_value_heads": 4,
       "pad_token_id": 0, "partial_rotary_factor": 1.0, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16,
       "rms_norm_eps": 1e-5, "routed_scaling_factor": 1.8, "topk_method": "noaux_tc", "v_head_dim": 32,
       "vocab_size": 256}

# The config files are written as they stand here, in both spellings that checkpoints use.
CASES = {
    "qwen3_tied": ({**COMMON, "dtype": "bfloat16", "head_dim": 32, "hidden_size": 64, "intermediate_size": 160,
                    "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
                    "rope_parameters": {"rope_theta": 5000000.0, "rope_type": "default"}, "tie_word_embeddings": True,
                    "layer_types": ["full_attention"] * 2, "vocab_size": 256}, 1),
    "qwen3_untied_sharded": ({**COMMON, "head_dim": 64, "hidden_size": 96, "intermediate_size": 160,
                              "max_window_layers": 2, "num_attention_heads": 4, "num_hidden_layers": 2,
                              "num_key_value_heads": 1, "rope_scaling": None, "rope_theta": 10000,
                              "tie_word_embeddings": False, "torch_dtype": "bfloat16", "vocab_size": 300}, 2),
    # Sizes that no block of a kernel divides, as many K as Q heads, one layer, float32 in the file.
    "qwen3_odd_f32": ({**COMMON, "dtype": "float32", "head_dim": 24, "hidden_size": 56, "intermediate_size": 88,
                       "num_attention_heads": 5, "num_hidden_layers": 1, "num_key_value_heads": 5,
                       "rms_norm_eps": 1e-5, "rope_scaling": {"rope_type": "default"}, "rope_theta": 1000000.0,
                       "tie_word_embeddings": False, "vocab_size": 151}, 1),
    # As published: an expert a tensor; dense layers by their number and by the step.
    "qwen3_moe_some_dense": ({**MOE, "num_experts": 12, "num_experts_per_tok": 3, "norm_topk_prob": True, "head_dim": 32,
                              "num_hidden_layers": 4, "decoder_sparse_step": 2, "mlp_only_layers": [3],
                              "rope_scaling": None, "rope_theta": 10000000, "tie_word_embeddings": False,
                              "torch_dtype": "bfloat16"}, 1),
    # As saved again: all experts in one tensor; no width of theirs is a multiple of 16; weights as the softmax has them.
    "qwen3_moe_fused": ({**MOE, "num_local_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": False,
                         "num_hidden_layers": 2, "decoder_sparse_step": 1, "mlp_only_layers": [], "dtype": "bfloat16",
                         "moe_intermediate_size": 40,
                         "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
                         "tie_word_embeddings": False}, 1),
    # Groups of experts, two shared ones, two dense layers, no q_lora; a head for the prediction of further tokens.
    "glm4_moe_lite_groups": ({**GLM, "first_k_dense_replace": 2, "n_group": 4, "topk_group": 2, "n_shared_experts": 2,
                              "num_hidden_layers": 4, "q_lora_rank": None, "rope_scaling": None, "rope_theta": 10000,
                              "num_nextn_predict_layers": 1, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
                              "n_routed_experts": 16, "qk_rope_head_dim": 8}, 1),
    # As saved again; sizes that no block of a kernel divides; rotated in halves.
    "glm4_moe_lite_latent": ({**GLM, "mlp_layer_types": ["dense", "sparse"], "n_group": 1, "topk_group": 1,
                              "n_shared_experts": 1, "num_hidden_layers": 2, "q_lora_rank": 40, "kv_lora_rank": 48,
                              "num_attention_heads": 5, "num_key_value_heads": 5, "qk_nope_head_dim": 24,
                              "v_head_dim": 20, "dtype": "bfloat16", "rope_interleave": False,
                              "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
                              "tie_word_embeddings": False, "num_local_experts": 7}, 1),
}
NOT_READ = ("partial_rotary_factor", "topk_method", "num_nextn_predict_layers")  # published, but not read
FUSED = ("qwen3_moe_fused", "glm4_moe_lite_latent")  # whose experts are one tensor


def weights(model, generator):
    """Random weights of the config's type and ordinary size: norms around 1, products that keep their input's size, and
    corrections of routers that change who is chosen."""
    state, dtype = {}, torch.float32 if model.config.stored_dtype == "float32" else torch.bfloat16
    corrections = [(n, b) for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")]
    for name, p in list(model.named_parameters()) + corrections:
        noise = torch.randn(p.shape, generator=generator)
        lookup_only = "embed_tokens" in name and not model.config.tie_word_embeddings
        if name.endswith("e_score_correction_bias"):
            state[name] = 0.2 * noise
            continue
        value = 1 + 0.2 * noise if p.dim() == 1 else noise if lookup_only else noise * p.shape[-1] ** -0.5
        state[name] = value.to(dtype)
    return state


def as_stored(state, config, fused):
    """Experts by themselves, as published, or all in one; the tensors of the head for further tokens, which nobody
    reads."""
    out = {}
    for name, w in state.items():
        prefix, _, kind = name.rpartition(".")
        if fused or not prefix.endswith(".experts"):
            out[name] = w
            continue
        for e in range(w.shape[0]):
            parts = {"down_proj": w[e]} if kind == "down_proj" else dict(zip(("gate_proj", "up_proj"), w[e].chunk(2)))
            for part, rows in parts.items():
                out["%s.%d.%s.weight" % (prefix, e, part)] = rows.contiguous()
    for i in range(config.get("num_nextn_predict_layers", 0)):
        out["model.layers.%d.eh_proj.weight" % (config["num_hidden_layers"] + i)] = torch.ones(2, 2)
    return out


@torch.no_grad()
def reference(model, ids):
    """({name: tensor}, smallest margin of the greedy choices)"""
    logits = model(ids[None], use_cache=False).logits[0]
    current, margin = ids, float("inf")
    for _ in range(N_GREEDY):
        best = model(current[None], use_cache=False).logits[0, -1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        if margin < MARGIN[model.config.model_type]:
            break
        current = torch.cat([current, best.indices[:1]])
    return {"input_ids": ids.to(torch.int32), "logits": logits.contiguous(), "greedy_ids": current.to(torch.int32),
            "prompt_len": torch.tensor([len(ids)], dtype=torch.int32)}, margin


def save_shards(folder, state, n):
    """model.safetensors, or n shards of about one size and their index."""
    if n == 1:
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        return
    total, at, shards = sum(t.numel() * 2 for t in state.values()), 0, [{} for _ in range(n)]
    for name in sorted(state):
        shards[min(n - 1, at * n // total)][name] = state[name]
        at += state[name].numel() * 2
    files = ["model-%05d-of-%05d.safetensors" % (i + 1, n) for i in range(n)]
    for file, shard in zip(files, shards):
        save_file(shard, os.path.join(folder, file), metadata={"format": "pt"})
    index = {"metadata": {"total_size": total}, "weight_map": {k: f for f, s in zip(files, shards) for k in s}}
    write_json(os.path.join(folder, "model.safetensors.index.json"), index)


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write("\n")


def make(folder, config, n_shards):
    os.makedirs(folder, exist_ok=True)
    settings = {k: v for k, v in config.items() if k not in ("rope_theta", "rope_scaling", "torch_dtype")}
    settings.setdefault("rope_parameters", {"rope_type": "default", "rope_theta": config.get("rope_theta")})
    if "first_k_dense_replace" in settings:
        n_dense, n = settings.pop("first_k_dense_replace"), config["num_hidden_layers"]
        settings["mlp_layer_types"] = ["dense"] * n_dense + ["sparse"] * (n - n_dense)
    model_config = AutoConfig.for_model(settings.pop("model_type"), **settings)
    for key, value in settings.items():
        known = getattr(model_config, key, None) if key not in ("dtype",) + NOT_READ else value
        assert known == value, (key, known, value)  # else the class took another value without a word
    model = AutoModelForCausalLM.from_config(model_config, attn_implementation="eager").float().eval()
    model.config.stored_dtype = config.get("dtype", config.get("torch_dtype"))
    for seed in range(1000):
        generator = torch.Generator().manual_seed(seed)
        state = weights(model, generator)
        model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
        model.tie_weights()
        ids = torch.randint(3, config["vocab_size"], (N_TOKENS,), generator=generator)
        tensors, margin = reference(model, ids)
        n_distinct = len(set(tensors["greedy_ids"][N_TOKENS:].tolist()))
        if margin >= MARGIN[config["model_type"]] and n_distinct >= DISTINCT:
            break
    else:
        raise SystemExit("no seed gives margins of %g and %d distinct ids" % (MARGIN[config["model_type"]], DISTINCT))
    save_shards(folder, as_stored(state, config, os.path.basename(folder) in FUSED), n_shards)
    save_file(tensors, os.path.join(folder, "golden.safetensors"))
    write_json(os.path.join(folder, "config.json"), config)
    print("%s: seed %d, margin %.3f, %d distinct greedy ids" % (folder, seed, margin, n_distinct))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--only", choices=sorted(CASES), help="one of the checkpoints; by default all")
    a = p.parse_args()
    torch.set_num_threads(2)
    for name, (config, n_shards) in CASES.items():
        if a.only in (None, name):
            make(os.path.join(a.out, name), config, n_shards)


if __name__ == "__main__":
    main()
