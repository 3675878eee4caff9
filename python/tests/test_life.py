"""A plugin's life, its settings, and what is refused."""

import inspect
import json
import os
import re
import subprocess
import sys
import venv

import inference_pio
import pytest
from conftest import ROOT, TINY
from inference_pio import models
from inference_pio.models import create_qwen3_4b_instruct_2507_plugin as create


def test_a_life_without_arguments():
    plugin = create()
    assert plugin.name == "qwen3_4b_instruct_2507"
    assert plugin.model == plugin.device == ""
    assert plugin.initialize() is plugin
    with pytest.warns(inference_pio.BundledModelWarning, match="tiny bundled sibling of qwen3_4b"):
        assert plugin.load_model() is plugin
    assert plugin.is_bundled and plugin.model == str(TINY)
    assert plugin.device.startswith("cpu:0 ")
    assert plugin.infer("What is 47 + 38?").text == "47 + 38 = 85."
    plugin.cleanup()
    plugin.cleanup()
    assert plugin.model == "" and not plugin.is_bundled
    with pytest.raises(inference_pio.InvalidArgumentError, match="cleaned up"):
        plugin.infer("hi")


def test_a_path_is_no_bundled_model(recwarn):
    with create() as plugin:
        plugin.initialize(weights="q8", stop=["x", "y"], prefix_cache=False, temperature=0.5)
        plugin.load_model(TINY)
        assert not plugin.is_bundled and not recwarn.list
        settings = plugin.settings()
        assert settings["weights"] == {"value": "q8", "from": "weights"}
        assert settings["stop"]["value"] == ["x", "y"]
        assert settings["prefix_cache"]["value"] is False
        assert settings["temperature"]["value"] == 0.5
        assert settings["backend"] == {"value": "cpu", "from": "chosen"}


def test_settings_from_file_and_environment(tmp_path, monkeypatch):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"context": 128, "top_k": 5, "seed": None}))
    monkeypatch.setenv("PIO_TOP_K", "6")
    monkeypatch.setenv("PIO_THREADS", "1")
    with create() as plugin:
        plugin.initialize(config=file, threads=2, system=None)
        plugin.load_model(TINY)
        settings = plugin.settings()
    assert settings["context"] == {"value": 128, "from": str(file)}
    assert settings["top_k"] == {"value": 6, "from": "PIO_TOP_K"}
    assert settings["threads"] == {"value": 2, "from": "threads"}
    assert settings["system"] == {"value": None, "from": "default"}


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"temprature": 1}, "no setting 'temprature': did you mean temperature"),
        ({"threads": 0}, "threads takes a whole number from 1 to 1024, not '0'"),
        ({"threads": 2.5}, "threads takes a whole number"),
        ({"weights": "q3"}, "bf16, q8 or q4"),
        ({"stop": ["a", ""]}, "stop"),
        ({"system": "a\0b"}, "NUL"),
        ({"config": "/no/such/file.json"}, "/no/such/file.json"),
    ],
)
def test_wrong_settings(settings, sentence):
    with create() as plugin, pytest.raises(inference_pio.PioError, match=re.escape(sentence)):
        plugin.initialize(**settings)


def test_errors_are_python_errors():
    assert issubclass(inference_pio.InvalidArgumentError, ValueError)
    assert issubclass(inference_pio.OutOfMemoryError, MemoryError)
    with create() as plugin:
        with pytest.raises(inference_pio.InvalidArgumentError, match="not initialized"):
            plugin.load_model()
        with pytest.raises(inference_pio.InvalidArgumentError, match="no model is loaded"):
            plugin.infer("hi")
        with pytest.raises(inference_pio.InvalidArgumentError, match="no model is loaded"):
            plugin.settings()
        plugin.initialize()
        with pytest.raises(inference_pio.NotFoundError, match="'nonesuch'"):
            plugin.load_model("nonesuch")


def test_models_have_the_library_s_functions():
    """A create function here for each that the header declares, and no other."""
    header = (ROOT / "include" / "inference_pio" / "plugin.h").read_text()
    declared = set(re.findall(r"\bpio_(create_\w+_plugin)\(", header))
    here = {name for name, _ in inspect.getmembers(models, inspect.isfunction) if name.startswith("create_")}
    assert here == declared
    for name in here:
        with getattr(models, name)() as plugin:
            assert f"create_{plugin.name}_plugin" == name


def test_statuses_are_those_of_the_header():
    header = (ROOT / "include" / "inference_pio" / "status.h").read_text()
    names = re.findall(r"^    PIO_(\w+)(?: = 0)?,", header, re.M)
    classes = [c.__name__.removesuffix("Error").lower() for c in inference_pio.errors._CLASSES]
    spelt = {"io": "inputoutput"}
    assert classes[1:] == [spelt.get(n.lower(), n.lower().replace("_", "")) for n in names[1:]]


def test_every_function_is_declared():
    header = (ROOT / "include" / "inference_pio" / "plugin.h").read_text()
    for name in inference_pio.library._FUNCTIONS:
        assert name == "pio_version" or re.search(rf"\b{name}\(", header), name


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", inference_pio.version())
    assert f'version = "{inference_pio.version()}"' in (ROOT / "python" / "pyproject.toml").read_text()


def test_a_missing_library_says_what_to_do(tmp_path):
    copy = tmp_path / "inference_pio"
    copy.mkdir()
    for file in (ROOT / "python" / "inference_pio").glob("*.py"):
        (copy / file.name).write_text(file.read_text())
    environment = {k: v for k, v in os.environ.items() if k not in ("PIO_LIBRARY", "LD_LIBRARY_PATH")}
    code = "import inference_pio; print(inference_pio.version())"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 1 and "set PIO_LIBRARY to its path, or LD_LIBRARY_PATH" in run.stderr
    os.symlink(os.environ["PIO_LIBRARY"], copy / "libinference_pio.so")  # beside itself
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == inference_pio.version()


def test_it_is_installed_by_pip(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--no-index", "--disable-pip-version-check", ROOT / "python"]
    subprocess.run(install, check=True)
    code = (
        "import inference_pio, importlib.metadata as m;"
        "from inference_pio.models import create_qwen3_4b_instruct_2507_plugin as c;"
        "print(inference_pio.__file__, m.version('inference-pio'), c().name)"
    )
    run = subprocess.run([python, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    path, version, name = run.stdout.split()
    assert path.startswith(str(tmp_path)) and version == inference_pio.version() and name == "qwen3_4b_instruct_2507"
