"""Write requirements.lock and requirements-dev.lock from what this virtual environment holds.

Walks the declared dependencies, so nothing that was installed by hand slips in. Knows no index:
a lock names versions, and where they come from is up to the machine that installs them.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
HEADER = "# {title}. Written by `make lock`; change pyproject.toml, not this file.\n"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    # The project itself is installed editable and without build isolation, so what builds it is
    # locked too; hatchling asks for editables only while it builds.
    builders = [*project["build-system"]["requires"], "editables"]
    run_roots = project["project"]["dependencies"] + builders
    dev_roots = project["project"]["optional-dependencies"]["dev"]
    run = pinned(run_roots)
    dev = {name: line for name, line in pinned(dev_roots).items() if name not in run}
    write("requirements.lock", "What Larder needs to run", run)
    write("requirements-dev.lock", "What its checks and tests need on top", dev)


def pinned(roots: Iterable[str]) -> dict[str, str]:
    """name -> lock line for the roots and everything they pull in here."""
    lines: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(root), True) for root in roots]
    while waiting:
        requirement, is_root = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in sorted(requirement.extras) or [""]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found = distribution(name)
            marker = f"; {requirement.marker}" if is_root and requirement.marker else ""
            # 2.13.0+cpu is this machine's build; another one takes the build that suits it.
            lines.setdefault(name, f"{name}=={Version(found.version).public}{marker}")
            waiting += [(needed, False) for needed in requires(found.requires or [], extra)]
    return lines


def requires(declared: Iterable[str], extra: str) -> list[Requirement]:
    requirements = (Requirement(line) for line in declared)
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or requirement.marker.evaluate({"extra": ""})
        or (extra and requirement.marker.evaluate({"extra": extra}))
    ]


def write(file_name: str, title: str, lines: dict[str, str]) -> None:
    body = "".join(f"{lines[name]}\n" for name in sorted(lines))
    if re.search(r"[+@]|://", body):
        raise SystemExit(f"{file_name}: a line names a build or an address:\n{body}")
    (ROOT / file_name).write_text(HEADER.format(title=title) + body, encoding="utf-8")
    sys.stdout.write(f"{file_name}: {len(lines)} packages\n")


if __name__ == "__main__":
    main()
