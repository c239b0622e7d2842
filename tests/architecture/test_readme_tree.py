"""README's file tree names every top-level folder that there is."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked_folders() -> set[str]:
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    folders = {name.split("/", 1)[0] for name in listed.split("\0") if "/" in name}
    return {name for name in folders if not name.startswith(".")}


def tree_folders() -> set[str]:
    """What stands first on a line of README's fenced blocks and ends with a slash."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^[ │├└─]*([\w.-]+)/(?=\s|$)", "\n".join(blocks), flags=re.MULTILINE))


def test_readme_tree_names_every_folder() -> None:
    missing = tracked_folders() - tree_folders()
    assert not missing, f"README's file tree lacks {sorted(missing)}"
