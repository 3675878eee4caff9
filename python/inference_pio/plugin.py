"""A model as an object: created, initialized, loaded, asked, cleaned up."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import queue
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union, overload

from . import library
from .errors import BundledModelWarning, InvalidArgumentError, PioError, error_of

Value = Union[str, int, float, bool, Sequence[str], "os.PathLike[str]"]
Message = Mapping[str, Any]
_KINDS = ("text", "reasoning", "call_id", "call_name", "call_arguments")


@dataclasses.dataclass(frozen=True)
class Delta:
    """A piece of an answer as it comes."""

    kind: str  # "text", "reasoning", "call_id", "call_name" or "call_arguments"
    text: str
    call: int = 0  # which of the answer's tool calls


@dataclasses.dataclass(frozen=True)
class ToolCall:
    """A tool that the model wants to be called."""

    id: str
    name: str
    arguments_json: str

    @property
    def arguments(self) -> dict[str, Any]:
        return json.loads(self.arguments_json)


@dataclasses.dataclass(frozen=True)
class Result:
    """An answer."""

    text: str
    reasoning: str  # what came before the answer
    tool_calls: tuple[ToolCall, ...]
    finish: str  # "stop", "tool_calls", "length" or "cancelled"
    prompt_tokens: int
    cached_tokens: int  # of the prompt, found in the KV cache
    answer_tokens: int
    prompt_seconds: float  # until the first token
    answer_seconds: float  # from there to the last

    def __str__(self) -> str:
        return self.text


def _text_of(value: Value) -> str:
    """A setting's value as the library reads it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    return json.dumps(list(value))


def _bytes_of(key: str, text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise InvalidArgumentError(f"{key} holds a NUL character, which no text may")
    return data


def _options(pairs: Sequence[tuple[str, Value]]) -> library.Options:
    items = [(_bytes_of("a key", key), _bytes_of(key, _text_of(value))) for key, value in pairs if value is not None]
    return library.Options((library.Option * len(items))(*items), len(items))


def _result(lib: ctypes.CDLL, handle: ctypes.c_void_p) -> Result:
    try:
        text = ctypes.string_at(lib.pio_result_text(handle), lib.pio_result_text_bytes(handle))
        reasoning = ctypes.string_at(lib.pio_result_reasoning(handle), lib.pio_result_reasoning_bytes(handle))
        calls = [
            ToolCall(
                id=lib.pio_result_call_id(handle, i).decode(),
                name=lib.pio_result_call_name(handle, i).decode(),
                arguments_json=lib.pio_result_call_arguments(handle, i).decode(),
            )
            for i in range(lib.pio_result_n_calls(handle))
        ]
        return Result(
            text=text.decode(),
            reasoning=reasoning.decode(),
            tool_calls=tuple(calls),
            finish=lib.pio_result_finish(handle).decode(),
            prompt_tokens=lib.pio_result_prompt_tokens(handle),
            cached_tokens=lib.pio_result_cached_tokens(handle),
            answer_tokens=lib.pio_result_answer_tokens(handle),
            prompt_seconds=lib.pio_result_prompt_seconds(handle),
            answer_seconds=lib.pio_result_answer_seconds(handle),
        )
    finally:
        lib.pio_result_free(handle)


class _Work:
    """An answer that the library makes in a thread of its own, so that Ctrl-C reaches whoever waits for it."""

    def __init__(self, plugin: Plugin, call: Callable[..., int], arguments: tuple[Any, ...], quiet: bool):
        self.plugin = plugin
        self.deltas: queue.SimpleQueue[Delta | None] = queue.SimpleQueue()
        self.stopped = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(call, arguments, quiet), daemon=True)
        self.thread.start()

    def _run(self, call: Callable[..., int], arguments: tuple[Any, ...], quiet: bool) -> None:
        def on_delta(_user: int, kind: int, call_number: int, text: int, n_bytes: int) -> bool:
            if not quiet and not self.stopped:
                self.deltas.put(Delta(_KINDS[kind], ctypes.string_at(text, n_bytes).decode(), call_number))
            return not self.stopped

        try:
            handle, plugin = ctypes.c_void_p(), self.plugin
            status = call(plugin._handle, *arguments, library.OnDelta(on_delta), None, ctypes.byref(handle))
            if status:
                self.error = plugin._failure(status)
            else:
                self.result = _result(plugin._lib, handle)
        except BaseException as error:  # for whoever waits
            self.error = error
        finally:
            self.deltas.put(None)

    def wait(self) -> None:
        """Waits for the end; the plugin is free again."""
        self.thread.join()
        self.plugin._release(self)

    def stop(self) -> None:
        self.stopped = True
        while self.thread.is_alive():  # a cancel that comes before the call has begun is not heard
            self.plugin.cancel()
            self.thread.join(0.05)
        self.wait()


class Stream(Iterator[Delta]):
    """The pieces of an answer that is being made; at its end `result` is the whole.

    Ctrl-C ends the answer and is raised. A stream that is closed, left by its `with`, or forgotten ends its answer.
    """

    def __init__(self, work: _Work):
        self._work = work
        self._ended = False
        self._reading = threading.Lock()

    def __next__(self) -> Delta:
        if not self._reading.acquire(blocking=False):
            raise InvalidArgumentError("another thread reads this stream: read it from one at a time")
        try:
            return self._next()
        finally:
            self._reading.release()

    def _next(self) -> Delta:
        if self._ended:
            raise StopIteration
        try:
            delta = self._work.deltas.get()
        except BaseException:
            self.close()
            raise
        if delta is not None:
            return delta
        self._ended = True
        self._work.wait()
        if self._work.error:
            raise self._work.error
        raise StopIteration

    def close(self) -> None:
        """Ends the answer; `result` is what was said until then."""
        if not self._ended:
            self._ended = True
            self._work.stop()

    @property
    def result(self) -> Result:
        """The whole answer, waited for."""
        for _ in self:
            pass
        if self._work.error:
            raise self._work.error
        assert self._work.result is not None
        return self._work.result

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Plugin:
    """A model. One thread at a time uses it, but for `cancel`."""

    def __init__(self, name: str):
        self._lib = library.load()
        create = getattr(self._lib, f"pio_create_{name}_plugin")
        error, handle = library.Error(), ctypes.c_void_p()
        if create(ctypes.byref(handle), ctypes.byref(error)):
            raise error_of(error.status, error.text.decode())
        self._handle: ctypes.c_void_p | None = handle
        self._work: _Work | None = None
        self._busy = threading.Lock()
        self._finalizer = weakref.finalize(self, self._lib.pio_plugin_cleanup, handle)
        self._finalizer.atexit = False

    # ---- its life

    def initialize(self, config: str | os.PathLike[str] | None = None, **settings: Value | None) -> Plugin:
        """Takes settings: of the environment (PIO_...), of a JSON file, and of this call, which counts most."""
        with self._use():
            environment = [os.fsencode(f"{name}={value}") for name, value in os.environ.items()]
            array = (ctypes.c_char_p * (len(environment) + 1))(*environment, None)
            self._check(self._lib.pio_plugin_read_environment(self._handle, array))
            if config is not None:
                self._check(self._lib.pio_plugin_read_config(self._handle, os.fsencode(config)))
            self._check(self._lib.pio_plugin_initialize(self._handle, ctypes.byref(_options([*settings.items()]))))
        return self

    def load_model(self, path: str | os.PathLike[str] | None = None) -> Plugin:
        """Loads a checkpoint's directory. Without one, the tiny checkpoint that is bundled, with a warning."""
        directory = None if path is None else os.fsencode(path)
        with self._use():
            failure: list[BaseException] = []

            def run() -> None:
                status = self._lib.pio_plugin_load_model(self._handle, directory)
                if status:
                    failure.append(self._failure(status))

            self._in_thread(run)
            if failure:
                raise failure[0]
        for line in filter(None, self._lib.pio_plugin_warnings(self._handle).decode().split("\n")):
            warnings.warn(line, stacklevel=2)
        if self.is_bundled:
            warnings.warn(
                f"no checkpoint was named: '{self.model}' answers, a tiny bundled sibling of {self.name}",
                BundledModelWarning,
                stacklevel=2,
            )
        return self

    def cleanup(self) -> None:
        """Ends what is under way and frees the model; more than once is no error."""
        if self._work:
            self._work.stop()
        self._finalizer()
        self._handle = None

    def __enter__(self) -> Plugin:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    # ---- answers

    @overload
    def infer(self, input: str | Mapping[str, Value], *, stream: Literal[True], **settings: Value | None) -> Stream: ...
    @overload
    def infer(
        self, input: str | Mapping[str, Value], *, stream: Literal[False] = False, **settings: Value | None
    ) -> Result: ...
    def infer(
        self, input: str | Mapping[str, Value], *, stream: bool = False, **settings: Value | None
    ) -> Result | Stream:
        """One user turn through the chat template: a text, or {"text": ...}, with settings of the answer, and, for a
        model with eyes, "image": a path, a data: URL, base64, or a list of them."""
        pairs: list[tuple[str, Any]] = [("text", input)] if isinstance(input, str) else [*input.items()]
        given = dict(pairs)
        text = given.pop("text", None)
        if not isinstance(text, str):
            raise InvalidArgumentError('the input has no text: give a text, or {"text": "..."}')
        images = given.pop("image", None)
        message: dict[str, Any] = {"role": "user", "content": text}
        if images is not None:
            sources = list(images) if isinstance(images, (list, tuple)) else [images]
            parts: list[dict[str, Any]] = [{"type": "image", "image": os.fspath(source)} for source in sources]
            message["content"] = [*parts, {"type": "text", "text": text}]
        if stream:
            return self.chat_completion([message], stream=True, **{**given, **settings})
        return self.chat_completion([message], **{**given, **settings})

    @overload
    def generate_text(self, prompt: str, *, stream: Literal[True], **settings: Value | None) -> Stream: ...
    @overload
    def generate_text(self, prompt: str, *, stream: Literal[False] = False, **settings: Value | None) -> Result: ...
    def generate_text(self, prompt: str, *, stream: bool = False, **settings: Value | None) -> Result | Stream:
        """Goes on from the prompt as it stands."""
        options = _options([*settings.items()])
        arguments = (_bytes_of("the prompt", prompt), ctypes.byref(options))
        return self._answer(self._lib.pio_plugin_generate_text, arguments, stream)

    @overload
    def chat_completion(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        stream: Literal[True],
        **settings: Value | None,
    ) -> Stream: ...
    @overload
    def chat_completion(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        stream: Literal[False] = False,
        **settings: Value | None,
    ) -> Result: ...
    def chat_completion(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        stream: bool = False,
        **settings: Value | None,
    ) -> Result | Stream:
        """The next message of a conversation. `variables` go to the chat template."""
        request = {**(variables or {}), "messages": list(messages)}
        if tools is not None:
            request["tools"] = list(tools)
        options = _options([*settings.items()])
        arguments = (json.dumps(request).encode(), ctypes.byref(options))
        return self._answer(self._lib.pio_plugin_chat_completion, arguments, stream)

    def cancel(self) -> None:
        """Ends the answer, or the loading, that is under way; any thread may call."""
        if self._handle:
            self._lib.pio_plugin_cancel(self._handle)

    # ---- what there is to know

    @property
    def name(self) -> str:
        return self._known("pio_plugin_name")

    @property
    def model(self) -> str:
        """The directory of the loaded checkpoint; "": none."""
        return self._known("pio_plugin_model")

    @property
    def device(self) -> str:
        """The device, and why this one; "": none yet."""
        return self._known("pio_plugin_device")

    @property
    def is_bundled(self) -> bool:
        """What is loaded is the tiny checkpoint that is bundled."""
        return bool(self._handle and self._lib.pio_plugin_is_bundled(self._handle))

    def settings(self) -> dict[str, dict[str, Any]]:
        """The settings that count: {key: {"value": ..., "from": ...}}."""
        with self._use():
            text = self._lib.pio_plugin_settings(self._handle)
            if text is None:
                raise self._failure(1)
            return json.loads(text)

    # ---- inside

    def _known(self, function: str) -> str:
        return getattr(self._lib, function)(self._handle).decode() if self._handle else ""

    def _failure(self, status: int) -> PioError:
        return error_of(status, self._lib.pio_plugin_error(self._handle).decode())

    def _check(self, status: int) -> None:
        if status:
            raise self._failure(status)

    def _use(self) -> threading.Lock:
        """The lock of the plugin, to be held by `with`; refuses what would come in between."""
        if not self._handle:
            raise InvalidArgumentError("the plugin was cleaned up: create another")
        if self._busy.locked():
            raise InvalidArgumentError("an answer is under way: take all of its stream, or close it")
        return self._busy

    def _release(self, work: _Work) -> None:
        if self._work is work:
            self._work = None
            self._busy.release()

    def _in_thread(self, run: Callable[[], None]) -> None:
        """Waits for `run` in a way that Ctrl-C ends."""
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.1)
        except BaseException:
            while thread.is_alive():
                self.cancel()
                thread.join(0.05)
            raise

    def _answer(self, call: Callable[..., int], arguments: tuple[Any, ...], stream: bool) -> Result | Stream:
        self._use().acquire()
        try:
            self._work = _Work(self, call, arguments, quiet=not stream)
        except BaseException:
            self._busy.release()
            raise
        answer = Stream(self._work)
        return answer if stream else answer.result
