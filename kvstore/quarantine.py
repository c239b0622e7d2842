"""Where damaged files go, for a person to look at. They do not count towards any budget."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

NUM_FILES = 8


class Quarantine:
    """A folder of the last few damaged files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, path: Path) -> None:
        logger.warning("KV entry %s is damaged and was moved to quarantine", path.name[:12])
        path.replace(self.folder / path.name)
        kept = sorted(self.folder.iterdir(), key=lambda p: p.stat().st_mtime)
        for old in kept[:-NUM_FILES]:
            old.unlink()
