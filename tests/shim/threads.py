"""A program of Python that calls the driver from two threads at once, first of all, with the lock
that all of Python shares; and whose last call comes when there is no Python any more.

Called with the loader's library.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import mkdtemp

# A library whose end calls the driver: the driver is opened before, so it is closed behind.
LATE = """
extern int clReleaseContext(void *);
extern int clFinish(void *);
extern int printf(const char *, ...);
void *gon_late;
__attribute__((destructor)) static void end(void) {
  int released = clReleaseContext(gon_late);
  printf("released: %d, finished: %d\\n", released, clFinish(gon_late));
}
"""


def main() -> None:
    """Say how each of the threads fared."""
    loader = ctypes.PyDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
    barrier = threading.Barrier(2)
    told: list[int] = []

    def call() -> None:
        platform, device = ctypes.c_void_p(), ctypes.c_void_p()
        barrier.wait()
        told.append(loader.clGetPlatformIDs(1, ctypes.byref(platform), None))
        kind = ctypes.c_uint64(0xFFFFFFFF)
        told.append(loader.clGetDeviceIDs(platform, kind, 1, ctypes.byref(device), None))
        made = ctypes.c_int()
        loader.clCreateContext.restype = ctypes.c_void_p
        context = loader.clCreateContext(None, 1, ctypes.byref(device), None, None, made)
        told.append(made.value)
        contexts.append(context)

    contexts: list[int] = []
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(told, flush=True)
    folder = Path(mkdtemp())
    (folder / "late.c").write_text(LATE)
    command = ["cc", "-shared", "-fPIC", str(folder / "late.c"), "-o", str(folder / "late.so")]
    subprocess.run([*command, sys.argv[1]], check=True)
    late = ctypes.CDLL(str(folder / "late.so"))
    ctypes.c_void_p.in_dll(late, "gon_late").value = contexts[0]


if __name__ == "__main__":
    main()
