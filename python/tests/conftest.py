import os
import pathlib
import sys
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("PIO_LIBRARY", str(ROOT / "build" / "libinference_pio.so"))

from inference_pio import BundledModelWarning  # noqa: E402
from inference_pio.models import create_qwen3_4b_instruct_2507_plugin  # noqa: E402

TINY = ROOT / "assets" / "tiny" / "qwen3_4b_instruct_2507"


@pytest.fixture(autouse=True)
def no_settings_of_mine(monkeypatch):
    for name in list(os.environ):
        if name.startswith("PIO_") and name != "PIO_LIBRARY":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def plugin():
    with create_qwen3_4b_instruct_2507_plugin() as made:
        made.initialize(threads=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BundledModelWarning)
            made.load_model()
        yield made
