"""Failures: one class a status of the library, each with the library's sentence as its text."""

from __future__ import annotations


class PioError(Exception):
    """Any failure of the library."""


class InvalidArgumentError(PioError, ValueError):
    """A value of the caller's is wrong."""


class NotFoundError(PioError, LookupError):
    """A file, model, device or name does not exist."""


class CorruptError(PioError):
    """A file's contents contradict its format."""


class UnsupportedError(PioError):
    """Well formed, but nothing here can serve it."""


class OutOfMemoryError(PioError, MemoryError):
    """The text says how much was asked for."""


class InputOutputError(PioError, OSError):
    """The operating system refused a read or write."""


class LimitError(PioError, ValueError):
    """A bound on length, depth or count was reached."""


class CancelledError(PioError):
    """Loading was cancelled. (A cancelled answer is no failure: its result says so.)"""


class DeviceLostError(PioError):
    """The device is gone for good: only cleanup is left."""


class InternalError(PioError):
    """A bug in this project."""


class BundledModelWarning(UserWarning):
    """No model was named, so that a tiny bundled checkpoint answers."""


_CLASSES = [
    PioError,
    InvalidArgumentError,
    NotFoundError,
    CorruptError,
    UnsupportedError,
    OutOfMemoryError,
    InputOutputError,
    LimitError,
    CancelledError,
    DeviceLostError,
    InternalError,
]


def error_of(status: int, text: str) -> PioError:
    """The exception for a status of include/inference_pio/status.h."""
    return (_CLASSES[status] if status < len(_CLASSES) else PioError)(text)
