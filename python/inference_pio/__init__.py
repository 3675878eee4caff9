"""Language models from Hugging Face checkpoints, on whatever the machine has.

    from inference_pio.models import create_qwen3_4b_instruct_2507_plugin

    with create_qwen3_4b_instruct_2507_plugin() as plugin:
        plugin.initialize(threads=4, weights="q8")
        plugin.load_model("Qwen3-4B-Instruct-2507")
        print(plugin.infer("Why is the sky blue?").text)

What can be set is listed in docs/configuration.md, the interface described in docs/api.md. The work is done by
libinference_pio.so, which is found by PIO_LIBRARY, the loader's usual search, or beside this package.
"""

from .errors import (
    BundledModelWarning,
    CancelledError,
    CorruptError,
    DeviceLostError,
    InputOutputError,
    InternalError,
    InvalidArgumentError,
    LimitError,
    NotFoundError,
    OutOfMemoryError,
    PioError,
    UnsupportedError,
)
from .library import version
from .plugin import Delta, Plugin, Result, Stream, ToolCall

__all__ = [
    "BundledModelWarning",
    "CancelledError",
    "CorruptError",
    "Delta",
    "DeviceLostError",
    "InputOutputError",
    "InternalError",
    "InvalidArgumentError",
    "LimitError",
    "NotFoundError",
    "OutOfMemoryError",
    "PioError",
    "Plugin",
    "Result",
    "Stream",
    "ToolCall",
    "UnsupportedError",
    "version",
]
