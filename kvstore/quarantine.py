"""Where damaged files go, for a person to look at. They do not count towards any budget."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

NUM_FILES = 8


class Quarantine:
    """A folder of the last few damaged files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            logger.warning("the KV folder cannot be written: %s", error)

    def take(self, path: Path) -> None:
        """On a disk that refuses changes the file stays where it is, and is not looked at again."""
        name = path.name[:12]
        try:
            path.replace(self.folder / path.name)
            kept = sorted(self.folder.iterdir(), key=lambda p: p.stat().st_mtime)
            for old in kept[:-NUM_FILES]:
                old.unlink()
        except OSError as error:
            logger.warning("KV entry %s is damaged and cannot be moved: %s", name, error)
            return
        logger.warning("KV entry %s is damaged and was moved to quarantine", name)
