"""Measuring coverage ends, whichever threads end at once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Without the guard this hung in each of six tries on two cores, within 33 rounds.
CHILD = """
import threading

from tests.support.coverage_threads import follow_greenlets_in_loops_only

follow_greenlets_in_loops_only()
for _ in range(30):
    together = threading.Event()
    threads = [threading.Thread(target=together.wait) for _ in range(100)]
    for thread in threads:
        thread.start()
    together.set()
    while any(thread.is_alive() for thread in threads):
        pass
print("done")
"""


def test_threads_that_end_together_do_not_hang_a_measured_process(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "rc").write_text("[run]\nconcurrency = thread, greenlet\n")

    command = [sys.executable, "-m", "coverage", "run", "--rcfile", "rc", "child.py"]
    child = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert child.stdout == "done\n", child.stderr
