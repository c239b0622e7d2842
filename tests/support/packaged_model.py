"""The packaged decoder, converted once for each checkout and shared by every test that needs it."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[2]
MODELS = ROOT / ".cache" / "models"
CONVERT = (
    "import sys; from pathlib import Path; from app.decoder.packaged import ensure_packaged_model;"
    "print(ensure_packaged_model(Path(sys.argv[1])))"
)


@cache
def packaged_model() -> Path:
    """Its folder. Half a minute and 1.2 GB the first time, in a process that gives them back."""
    MODELS.mkdir(parents=True, exist_ok=True)
    with FileLock(MODELS / "converting.lock"):
        done = subprocess.run(
            [sys.executable, "-c", CONVERT, str(MODELS)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def data_dir_with_model(folder: Path) -> Path:
    """A new data directory in which the model need not be converted."""
    packaged_model()
    folder.mkdir(parents=True)
    (folder / "models").symlink_to(MODELS)
    return folder
