"""Programs that fork: children of one that has a device, over each link and in the process, and
under `gon run`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.gond_process import PATIENCE_S, ROOT, Gond, all_free, until

GON = [sys.executable, "-c", "from gon_client.cli import main; main()"]
FORKING = Path(__file__).parent / "forking.py"
# Children of every kind; those of fork begin with what their parent has made. Each has a unit of
# its own, and gives it back.
CHILDREN = """
import multiprocessing
import subprocess
import sys
import gon

def total(size):
    return round(float(gon.xp.sum(gon.xp.ones(size))))

if __name__ == "__main__":
    mine = gon.xp.ones(10) + 1
    found = [total(5)]
    for method, count in (("fork", 2), ("spawn", 1), ("forkserver", 1)):
        pool = multiprocessing.get_context(method).Pool(count)
        found += sorted(pool.map(total, (6, 7)))
        pool.close()
        pool.join()
    subprocess.run([sys.executable, "-c", ""], check=True)
    found.append(round(float(gon.xp.sum(mine))))
    with gon.connect() as host:
        print(*found, sum(each.slices - each.slices_free for each in host.units()))
"""


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )


@pytest.mark.parametrize(
    ("link", "native"),
    [
        *(("tcp", ""), ("unix", ""), ("shm", ""), ("zmq", ""), ("local", "")),
        *(("tcp", "0"), ("shm", "0")),
    ],
)
def test_children_are_refused_and_their_parent_goes_on(
    soft_gond: Gond, link: str, native: str
) -> None:
    environ = {"GON_NATIVE": native} if native else {}
    done = run(sys.executable, str(FORKING), soft_gond.tcp, link, **environ)
    assert done.stdout == "all is well\n", done.stderr
    # Nothing that a finalizer, an exit or the end of a block does in a child fails there.
    assert not done.stderr


def test_every_child_has_a_unit_of_its_own(soft_gond: Gond, tmp_path: Path) -> None:
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    done = run(*GON, "run", "--host", soft_gond.tcp, "--", sys.executable, str(script))
    # The parent's is all that is taken when they have ended.
    assert done.stdout == "5 6 7 6 7 6 7 20 1\n", done.stderr
    channel = soft_gond.channel()
    until(lambda: all_free(channel), "the parent's is given back too")
    channel.close()
