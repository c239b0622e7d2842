"""Which files a command is given: folders are walked, names are relative to what was given.

A link that leads out of the folder is not followed: a folder stands for what lies in it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from app.cli.output import print_note
from app.errors import InvalidValue

LinkOut = Callable[[str], None]  # is told the name of a link that leads out of the folder


@dataclass(frozen=True, slots=True)
class InputFile:
    path: Path
    name: str  # how the document is called


def find_files(paths: Iterable[Path]) -> list[InputFile]:
    """In a stable order; hidden files and folders are left out. Raises where a path is missing."""
    found: list[InputFile] = []
    for path in paths:
        if path.is_dir():
            found.extend(walk(path, say_left_out))
        elif path.is_file():
            found.append(InputFile(path, path.name))
        else:
            raise InvalidValue(f"{path} is neither a file nor a folder")
    if not found:
        raise InvalidValue("there are no files in " + ", ".join(str(path) for path in paths))
    return found


def walk(folder: Path, on_link_out: LinkOut | None = None) -> list[InputFile]:
    """The folder's files, by their names within it. What is hidden or lies outside is left out."""
    root = folder.resolve()
    found: list[InputFile] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.exists() or any(part.startswith(".") for part in name.parts):
            continue
        if not path.resolve().is_relative_to(root):
            if on_link_out is not None:
                on_link_out(name.as_posix())
        elif path.is_file():
            found.append(InputFile(path, name.as_posix()))
    return found


def say_left_out(name: str) -> None:
    print_note(f"{name} is left out: the link leads out of the folder")
