"""One function a model; each returns a plugin that is not yet initialized."""

from __future__ import annotations

from .plugin import Plugin


def create_glm_4_7_flash_plugin() -> Plugin:
    return Plugin("glm_4_7_flash")


def create_qwen3_4b_instruct_2507_plugin() -> Plugin:
    return Plugin("qwen3_4b_instruct_2507")


def create_qwen3_coder_30b_plugin() -> Plugin:
    return Plugin("qwen3_coder_30b")


def create_qwen3_vl_2b_instruct_plugin() -> Plugin:
    return Plugin("qwen3_vl_2b_instruct")
