"""libinference_pio.so: finding it, and its functions (include/inference_pio/plugin.h)."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
from ctypes import POINTER, c_bool, c_char, c_char_p, c_double, c_int, c_int32, c_size_t, c_void_p

NAMES = ("libinference_pio.so.0", "libinference_pio.so")


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("text", c_char * 1024)]


class Option(ctypes.Structure):
    _fields_ = [("key", c_char_p), ("value", c_char_p)]


class Options(ctypes.Structure):
    _fields_ = [("items", POINTER(Option)), ("n_items", c_size_t)]


OnDelta = ctypes.CFUNCTYPE(c_bool, c_void_p, c_int, c_int32, c_void_p, c_size_t)

_PLUGIN, _RESULT, _STATUS = c_void_p, c_void_p, c_int
_FUNCTIONS = {
    "pio_version": (c_char_p,),
    "pio_plugin_read_config": (_STATUS, _PLUGIN, c_char_p),
    "pio_plugin_read_environment": (_STATUS, _PLUGIN, POINTER(c_char_p)),
    "pio_plugin_initialize": (_STATUS, _PLUGIN, POINTER(Options)),
    "pio_plugin_load_model": (_STATUS, _PLUGIN, c_char_p),
    "pio_plugin_cleanup": (None, _PLUGIN),
    "pio_plugin_error": (c_char_p, _PLUGIN),
    "pio_plugin_name": (c_char_p, _PLUGIN),
    "pio_plugin_model": (c_char_p, _PLUGIN),
    "pio_plugin_is_bundled": (c_bool, _PLUGIN),
    "pio_plugin_device": (c_char_p, _PLUGIN),
    "pio_plugin_warnings": (c_char_p, _PLUGIN),
    "pio_plugin_settings": (c_char_p, _PLUGIN),
    "pio_plugin_generate_text": (_STATUS, _PLUGIN, c_char_p, POINTER(Options), OnDelta, c_void_p, POINTER(_RESULT)),
    "pio_plugin_chat_completion": (_STATUS, _PLUGIN, c_char_p, POINTER(Options), OnDelta, c_void_p, POINTER(_RESULT)),
    "pio_plugin_cancel": (None, _PLUGIN),
    "pio_result_text": (c_void_p, _RESULT),
    "pio_result_text_bytes": (c_size_t, _RESULT),
    "pio_result_reasoning": (c_void_p, _RESULT),
    "pio_result_reasoning_bytes": (c_size_t, _RESULT),
    "pio_result_n_calls": (c_int32, _RESULT),
    "pio_result_call_id": (c_char_p, _RESULT, c_int32),
    "pio_result_call_name": (c_char_p, _RESULT, c_int32),
    "pio_result_call_arguments": (c_char_p, _RESULT, c_int32),
    "pio_result_finish": (c_char_p, _RESULT),
    "pio_result_prompt_tokens": (c_int32, _RESULT),
    "pio_result_cached_tokens": (c_int32, _RESULT),
    "pio_result_answer_tokens": (c_int32, _RESULT),
    "pio_result_prompt_seconds": (c_double, _RESULT),
    "pio_result_answer_seconds": (c_double, _RESULT),
    "pio_result_free": (None, _RESULT),
}


def _open() -> ctypes.CDLL:
    named = os.environ.get("PIO_LIBRARY")
    if named:
        return ctypes.CDLL(named)
    here = pathlib.Path(__file__).resolve().parent
    places = [*NAMES, *(str(here / name) for name in NAMES)]
    places.append(str(here.parent.parent / "build" / NAMES[1]))  # in a clone of the project
    reasons = []
    for place in places:
        try:
            return ctypes.CDLL(place)
        except OSError as error:
            if os.path.exists(place):  # it is there, and cannot be opened
                raise
            reasons.append(str(error))
    raise OSError(
        f"{NAMES[1]} is not found: build it (cmake --build build) and set PIO_LIBRARY to its path, or LD_LIBRARY_PATH to "
        f"its folder ({reasons[0]})"
    )


@functools.lru_cache(maxsize=None)
def load() -> ctypes.CDLL:
    """The library, opened when it is first needed."""
    library = _open()
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def version() -> str:
    """The library's version."""
    return load().pio_version().decode()
