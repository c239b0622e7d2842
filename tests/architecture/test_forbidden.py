"""What no package may do: run data as code, or read the environment behind the settings' back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "retrieval", "kvstore", "reliability", "kernels")
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
CALLS = {"eval", "exec", "torch.load", "os.system", "yaml.load", "builtins.eval", "builtins.exec"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv"}
ENVIRONMENT_READER = ROOT / "app" / "settings.py"


def names_of(tree: ast.AST) -> set[str]:
    """The forbidden modules, calls and arguments that a module uses."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module.split(".")[0]} & MODULES
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & (CALLS | ENVIRONMENT)
        elif isinstance(node, ast.Call):
            found |= {ast.unparse(node.func)} & CALLS
            found |= {word for word in map(dangerous, node.keywords) if word}
        elif isinstance(node, ast.Attribute):
            found |= {ast.unparse(node)} & ENVIRONMENT
    return found


def dangerous(keyword: ast.keyword) -> str:
    is_on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
    names = ("shell", "allow_pickle", "trust_remote_code", "allow_dangerous_deserialization")
    return f"{keyword.arg}=True" if is_on and keyword.arg in names else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_clean(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        found = names_of(ast.parse(path.read_text(encoding="utf-8")))
        if path == ENVIRONMENT_READER:
            found -= ENVIRONMENT
        assert not found, f"{path.relative_to(ROOT)} uses {sorted(found)}"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import pickle", "pickle"),
        ("from joblib import dump", "joblib"),
        ("import torch\ntorch.load('weights.bin')", "torch.load"),
        ("from torch import load", "torch.load"),
        ("eval('1')", "eval"),
        ("numpy.load(path, allow_pickle=True)", "allow_pickle=True"),
        ("import os\nos.environ['HOME']", "os.environ"),
        ("from os import getenv", "os.getenv"),
    ],
)
def test_the_check_itself_finds(source: str, name: str) -> None:
    assert name in names_of(ast.parse(source))


def test_the_check_itself_lets_a_model_be_put_in_eval_mode() -> None:
    assert not names_of(ast.parse("model.eval()"))
