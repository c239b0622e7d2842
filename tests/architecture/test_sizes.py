"""Files and functions stay short enough to be read in one go. Prints the table past a hard stop."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "retrieval", "kvstore", "reliability", "kernels", "benchmarks", "tests", ".ci")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_KERNEL_LINES = 120
GENERATED = ROOT / "app" / "db" / "migrations" / "versions"


def python_files() -> list[Path]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in files if GENERATED not in path.parents]


def functions_of(path: Path) -> list[tuple[int, int, str]]:
    """(lines, allowed lines, file:name) of each function."""
    rows = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_kernel = any("triton.jit" in ast.unparse(item) for item in node.decorator_list)
            limit = MAX_KERNEL_LINES if is_kernel else MAX_FUNCTION_LINES
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            rows.append((lines, limit, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"))
    return rows


def table(title: str, rows: list[tuple[int, str]]) -> str:
    longest = sorted(rows, reverse=True)[:15]
    return "\n".join([title, *(f"{lines:6} {name}" for lines, name in longest)])


def test_files() -> None:
    rows = [
        (len(path.read_text(encoding="utf-8").splitlines()), str(path.relative_to(ROOT)))
        for path in python_files()
    ]
    assert rows
    if max(rows)[0] > MAX_FILE_LINES:
        pytest.fail(table(f"files over {MAX_FILE_LINES} lines:", rows))


def test_functions() -> None:
    rows = [row for path in python_files() for row in functions_of(path)]
    assert rows
    too_long = [(lines, name) for lines, limit, name in rows if lines > limit]
    if too_long:
        pytest.fail(table(f"functions over {MAX_FUNCTION_LINES} lines:", too_long))
