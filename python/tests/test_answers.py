"""Answers: turns, conversations, raw text, streams, and ending them."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import inference_pio
import inference_pio.models
import pytest
from conftest import ROOT

QUESTION = "What is 47 + 38?"
STORY = [{"role": "user", "content": "Tell me a story."}]
HOT = {"temperature": 3, "seed": 7, "max_tokens": 60}
LONG = {"temperature": 50, "seed": 1, "max_tokens": 900}


def test_a_result(plugin):
    result = plugin.infer({"text": QUESTION, "max_tokens": 40})
    assert result.text == str(result) == "47 + 38 = 85."
    assert result.finish == "stop"
    assert result.prompt_tokens > 10 and result.answer_tokens > 5
    assert result.prompt_seconds > 0 and result.answer_seconds > 0


def test_three_ways_agree(plugin):
    turn = plugin.infer("Spell house.")
    chat = plugin.chat_completion([{"role": "user", "content": "Spell house."}])
    raw = plugin.generate_text("<|im_start|>user\nSpell house.<|im_end|>\n<|im_start|>assistant\n")
    assert turn.text == chat.text == raw.text == "h-o-u-s-e"


def test_a_conversation_remembers(plugin):
    messages = [{"role": "user", "content": "My name is Ada."}]
    messages.append({"role": "assistant", "content": plugin.chat_completion(messages).text})
    messages.append({"role": "user", "content": "What is my name?"})
    assert plugin.chat_completion(messages).text == "Your name is Ada."


def test_content_is_text_or_parts(plugin):
    def ask(content):
        return plugin.chat_completion([{"role": "user", "content": content}]).text

    assert ask([{"type": "text", "text": QUESTION}]) == ask(QUESTION) == "47 + 38 = 85."
    assert ask(None) == ask("") == ask([])
    with pytest.raises(ValueError, match="message 1 has a part"):
        ask([{"type": "audio", "audio": "a.wav"}])
    with pytest.raises(ValueError, match="message 1 is neither"):
        ask({})


def test_one_thread_reads_a_stream(plugin):
    stream = plugin.chat_completion(STORY, stream=True, **LONG)
    stream._reading.acquire()  # as while another thread waits for a piece
    with pytest.raises(ValueError, match="one at a time"):
        next(stream)
    stream._reading.release()
    assert next(stream).text
    stream.close()


def test_tools_may_say_little():
    with inference_pio.models.create_qwen3_coder_30b_plugin() as coder:
        coder.initialize().load_model()
        for tool in ({"name": "now"}, {"name": "now", "description": "d", "parameters": {}}):
            assert coder.chat_completion([{"role": "user", "content": "Hello."}], tools=[tool], max_tokens=3)


def test_settings_of_an_answer(plugin):
    assert plugin.infer(QUESTION, max_tokens=3).finish == "length"
    assert plugin.infer(QUESTION, stop=[" =", "?"]).text == "47 + 38"
    assert plugin.infer(QUESTION, stop=" =").text == "47 + 38"
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."
    with pytest.raises(inference_pio.InvalidArgumentError, match="pio_plugin_initialize"):
        plugin.infer(QUESTION, threads=1)
    with pytest.raises(inference_pio.InvalidArgumentError, match="did you mean top_k"):
        plugin.infer(QUESTION, topk=1)


def test_wrong_input(plugin):
    with pytest.raises(ValueError, match="has no text"):
        plugin.infer({"txt": "hi"})
    with pytest.raises(ValueError, match="at least one"):
        plugin.chat_completion([])
    with pytest.raises(ValueError, match="message 0"):
        plugin.chat_completion([{"content": "hi"}])
    with pytest.raises(ValueError, match="empty"):
        plugin.generate_text("")
    with pytest.raises(ValueError, match="tokens"):
        plugin.infer("seven " * 1100)
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."


def test_unicode_goes_through(plugin):
    for text in ("Grüße, 世界! 🌍", "a\tb\n\n c"):
        assert plugin.infer(text, max_tokens=2).answer_tokens <= 2
        assert plugin.generate_text(text, max_tokens=1).prompt_tokens > 2


def test_a_stream_is_the_answer(plugin):
    whole = plugin.chat_completion(STORY, **HOT)
    stream = plugin.chat_completion(STORY, stream=True, **HOT)
    deltas = list(stream)
    assert len(deltas) > 5 and {d.kind for d in deltas} == {"text"}
    assert "".join(d.text for d in deltas) == whole.text == stream.result.text
    assert list(stream) == []
    assert "".join(d.text for d in plugin.infer(QUESTION, stream=True)) == "47 + 38 = 85."
    assert plugin.generate_text("one", stream=True, max_tokens=4).result.answer_tokens <= 4


def test_a_stream_keeps_the_plugin_to_itself(plugin):
    stream = plugin.chat_completion(STORY, stream=True, **LONG)
    next(stream)
    for call in (lambda: plugin.infer("hi"), plugin.settings, plugin.load_model):
        with pytest.raises(inference_pio.InvalidArgumentError, match="under way"):
            call()
    stream.close()
    assert stream.result.finish in ("stop", "cancelled") and stream.result.answer_tokens < 900
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."


def test_streams_left_early_end(plugin):
    with plugin.chat_completion(STORY, stream=True, **LONG) as stream:
        for _ in stream:
            break
    assert stream.result.answer_tokens < 900
    for _ in plugin.chat_completion(STORY, stream=True, **LONG):  # forgotten
        break
    gc.collect()
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."


def test_errors_of_a_stream_reach_its_reader(plugin):
    with pytest.raises(ValueError, match="did you mean top_k"):
        next(plugin.infer(QUESTION, stream=True, topk=1))
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."


def test_cancel_from_another_thread(plugin):
    timer = threading.Timer(0.02, plugin.cancel)
    timer.start()
    result = plugin.chat_completion(STORY, **LONG)
    timer.join()
    assert result.finish in ("cancelled", "stop", "length")
    plugin.cancel()  # nothing is under way
    assert plugin.infer(QUESTION).text == "47 + 38 = 85."


def test_cleanup_ends_a_stream():
    from inference_pio.models import create_qwen3_4b_instruct_2507_plugin as create

    with pytest.warns(inference_pio.BundledModelWarning):
        plugin = create().initialize().load_model()
    stream = plugin.chat_completion(STORY, stream=True, **LONG)
    next(stream)
    plugin.cleanup()
    assert stream.result.answer_tokens < 900


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    """A plugin whose model says a call, and thinks, where the tiny one says "Your"."""
    folder = tmp_path_factory.mktemp("caller")
    tiny = ROOT / "assets" / "tiny" / "qwen3_4b_instruct_2507"
    for file in tiny.iterdir():
        (folder / file.name).symlink_to(file)
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    model = tokenizer["model"]
    model["merges"] = [m for m in model["merges"] if "".join(m) != "Your"]
    said = '<think>Hm.</think>OK<tool_call>{"name":"now","arguments":{"zone":"UTC"}}</tool_call>Your'
    model["vocab"][said] = model["vocab"].pop("Your")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with inference_pio.models.create_qwen3_4b_instruct_2507_plugin() as made:
        yield made.initialize(threads=2).load_model(folder)


ADA = [
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Nice to meet you, Ada!"},
    {"role": "user", "content": "What is my name?"},
]
TOOLS = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]


def test_tool_calls_and_reasoning(caller):
    result = caller.chat_completion(ADA, tools=TOOLS)
    assert result.reasoning == "Hm."
    assert result.text == "OKYour name is Ada."
    assert result.finish == "tool_calls"
    (call,) = result.tool_calls
    assert call.name == "now" and call.arguments == {"zone": "UTC"} and call.id.startswith("call_0_")
    deltas = list(caller.chat_completion(ADA, tools=TOOLS, stream=True))
    joined = {kind: "".join(d.text for d in deltas if d.kind == kind) for kind in {d.kind for d in deltas}}
    assert joined.pop("call_id").startswith("call_0_")
    assert joined == {
        "text": result.text,
        "reasoning": "Hm.",
        "call_name": "now",
        "call_arguments": call.arguments_json,
    }
    assert caller.chat_completion(ADA).tool_calls == ()
    with pytest.raises(ValueError, match="no name"):
        caller.chat_completion(ADA, tools=[{}])


INTERRUPTED = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts in the background has Ctrl-C ignored
    from inference_pio.models import create_qwen3_4b_instruct_2507_plugin as create
    plugin = create().initialize(threads=2).load_model({tiny!r})
    try:
        while True:  # an answer is under way, or just about to be
            print("asking", flush=True)
            for _ in range(50):
                plugin.chat_completion([{{"role": "user", "content": "Tell me."}}], temperature=50, max_tokens=900)
    except KeyboardInterrupt:
        print(plugin.infer("What is 47 + 38?").text)
        sys.exit(42)
"""


def test_ctrl_c_ends_the_answer():
    tiny = str(ROOT / "assets" / "tiny" / "qwen3_4b_instruct_2507")
    code = textwrap.dedent(INTERRUPTED.format(tiny=tiny))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    run = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "asking\n"
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    try:
        out, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 42 and out.splitlines()[-1] == "47 + 38 = 85."


def test_where_reasoning_goes(caller):
    hidden = caller.chat_completion(ADA, tools=TOOLS, reasoning="hidden")
    assert hidden.reasoning == "" and hidden.text == "OKYour name is Ada."
    inline = caller.chat_completion(ADA, tools=TOOLS, reasoning="inline")
    assert inline.reasoning == "" and inline.text == "<think>Hm.</think>OKYour name is Ada."


def test_settings_of_other_models(plugin):
    with pytest.raises(ValueError, match="suffix is a setting of qwen3_coder_30b, not of qwen3_4b_instruct_2507"):
        plugin.generate_text("def f(", suffix="return x")
    with pytest.raises(ValueError, match="max_pixels is a setting of qwen3_vl_2b"):
        plugin.infer("hi", max_pixels=4096)


def test_the_example():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    command = [sys.executable, ROOT / "examples" / "plugin.py"]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert run.stdout.splitlines() == [
        "infer: 47 + 38 = 85. (11 tokens, stop)",
        "chat: Your name is Ada.",
        "generate: h-o-u-s-e",
    ]
    assert "BundledModelWarning" in run.stderr
