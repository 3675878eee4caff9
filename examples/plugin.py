"""A plugin's life in Python: PYTHONPATH=python python3 examples/plugin.py [DIRECTORY]

Without a directory it answers with the tiny checkpoint that is bundled.
"""

import sys

from inference_pio.models import create_qwen3_4b_instruct_2507_plugin

with create_qwen3_4b_instruct_2507_plugin() as plugin:
    plugin.initialize(context=512)
    plugin.load_model(sys.argv[1] if len(sys.argv) > 1 else None)
    print("device:", plugin.device, file=sys.stderr)

    result = plugin.infer("What is 47 + 38?", max_tokens=50)
    print(f"infer: {result.text} ({result.answer_tokens} tokens, {result.finish})")

    print("chat: ", end="")
    conversation = [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Nice to meet you, Ada!"},
        {"role": "user", "content": "What is my name?"},
    ]
    for delta in plugin.chat_completion(conversation, stream=True):
        print(delta.text, end="", flush=True)
    print()

    prompt = "<|im_start|>user\nSpell house.<|im_end|>\n<|im_start|>assistant\n"
    print("generate:", plugin.generate_text(prompt, max_tokens=20, temperature=0))
