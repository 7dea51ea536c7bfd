"""The package `verify` as its users meet it: names, laziness, typing."""

import ast
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import verify

ROOT = Path(verify.__file__).parent


@pytest.mark.parametrize("name", verify.__all__)
def test_public_things_say_what_they_are(name):
    thing = getattr(verify, name)
    assert not isinstance(thing, ModuleType)
    assert thing.__doc__
    assert pickle.loads(pickle.dumps(thing)) is thing


def test_no_public_name_is_a_modules():
    modules = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not modules & set(verify.__all__)
    assert dir(verify) == verify.__all__


def test_the_stub_names_the_same_things():
    tree = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    stubbed = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            stubbed |= {alias.asname: node.module for alias in node.names}
    homes = {name: f"verify.{module}" for module, names in verify._NAMES.items() for name in names.split()}
    assert stubbed == homes


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        _ = verify.chekc


def test_import_loads_nothing():
    script = "import sys, verify; dir(verify); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy", "numba"} & set(loaded)
