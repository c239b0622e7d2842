"""Which files a command is given: folders are walked, names are relative to what was given."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class InputFile:
    path: Path
    name: str  # how the document is called


def find_files(paths: Iterable[Path]) -> list[InputFile]:
    """In a stable order; hidden files and folders are left out. Raises where a path is missing."""
    found: list[InputFile] = []
    for path in paths:
        if path.is_dir():
            found.extend(walk(path))
        elif path.is_file():
            found.append(InputFile(path, path.name))
        else:
            raise InvalidValue(f"{path} is neither a file nor a folder")
    if not found:
        raise InvalidValue("there are no files in " + ", ".join(str(path) for path in paths))
    return found


def walk(folder: Path) -> list[InputFile]:
    """The folder's files, by their names within it."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    relative = ((path, path.relative_to(folder)) for path in files)
    return [
        InputFile(path, name.as_posix())
        for path, name in relative
        if not any(part.startswith(".") for part in name.parts)
    ]
