"""The build backend (PEP 517): a wheel is a zip file of the package and three small texts, so nothing needs to be
downloaded to make one."""

import base64
import hashlib
import pathlib
import re
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "inference_pio"


def _field(name):
    return re.search(rf'^{name} = "(.*)"$', (HERE / "pyproject.toml").read_text(), re.M)[1]


def _texts():
    info = f"{PACKAGE}-{_field('version')}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {_field('name')}\nVersion: {_field('version')}\n"
        f"Summary: {_field('description')}\nRequires-Python: {_field('requires-python')}\nLicense: Apache-2.0\n"
    )
    wheel = "Wheel-Version: 1.0\nGenerator: build_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return info, {f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": wheel.encode()}


def _record(contents, info):
    lines = []
    for name, data in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    info, texts = _texts()
    files = sorted(f for f in (HERE / PACKAGE).rglob("*") if f.suffix == ".py" or f.name == "py.typed")
    contents = {str(f.relative_to(HERE)): f.read_bytes() for f in files} | texts
    contents[f"{info}/RECORD"] = _record(contents, info)
    name = f"{PACKAGE}-{_field('version')}-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in contents.items():
            wheel.writestr(path, data)
    return name
