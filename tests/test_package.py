"""The package as its users meet it: names, version, laziness, typing."""

import ast
import pickle
from importlib.metadata import version
from pathlib import Path

import pytest

import meanfield as mf

ROOT = Path(mf.__file__).parent


def test_every_public_name_is_there():
    assert dir(mf) == mf.__all__
    for name in mf.__all__:
        assert getattr(mf, name) is getattr(mf, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'critical_pint'"):
        _ = mf.critical_pint


def test_the_stub_names_the_same_things():
    tree = ast.parse((ROOT / "__init__.pyi").read_text(encoding="utf-8"))
    stubbed = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            stubbed |= {alias.asname: node.module for alias in node.names}
    homes = {name: f"meanfield.{module}" for module, names in mf._NAMES.items() for name in names.split()}
    assert stubbed == homes


def test_the_public_names_fit_on_one_screen():
    assert len((ROOT / "__init__.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_version_is_the_distributions():
    assert version("meanfield-dnn") == mf.__version__


@pytest.mark.parametrize("name", [name for name in mf.__all__ if name != "__version__"])
def test_public_things_say_what_they_are(name):
    thing = getattr(mf, name)
    assert thing.__doc__
    assert pickle.loads(pickle.dumps(thing)) is thing
