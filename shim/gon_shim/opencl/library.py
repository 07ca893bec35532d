"""From Khronos' prototypes to the driver's source: an entry in C for each function of the dispatch
table, which calls Python's unless the process was forked, and the table of all of them.

Rules: pure. No entry of the table is empty: programs call what is there without looking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gon_shim.embedding import Driver, guarded
from gon_shim.opencl.khronos import constants

HERE: Final = Path(__file__).parent
MARK: Final = "/*** entries ***/"
# Interfaces that no unit has; these are answered in C.
_FOREIGN: Final = re.compile(r"GL|D3D|DX9")
# What the loader asks the driver's library itself.
_IN_C: Final = (
    "clGetPlatformIDs", "clGetPlatformInfo",
    "clGetExtensionFunctionAddress", "clGetExtensionFunctionAddressForPlatform",
)  # fmt: skip
# What is looked at in C before Python is asked.
_LOOKED_AT: Final = ("clEnqueueNDRangeKernel", "clGetEventProfilingInfo")
# What a program's end does by itself, too; it may give an event.
_UNMAPS: Final = "clEnqueueUnmapMemObject"
# One that was launched before, by its number.
_AGAIN: Final = "cl_int gon_launch_again(cl_ulong number, cl_event *event, cl_ulong queued_ns);"
_PROTOTYPE: Final = re.compile(r"(.+?)gon_(cl\w+)\((.*)\);")


@dataclass(frozen=True, slots=True)
class Entry:
    """One function of the dispatch table; `result` is "" where Linux has no type for it."""

    name: str
    result: str = ""
    params: tuple[str, ...] = ()

    @property
    def is_foreign(self) -> bool:
        return bool(_FOREIGN.search(self.name)) or not self.result

    @property
    def is_in_python(self) -> bool:
        return not self.is_foreign and self.name not in _IN_C

    @property
    def gives_code(self) -> bool:
        """Whether it returns an error code; others that can fail have a place for it, last."""
        return self.result == "cl_int"

    @property
    def has_code_last(self) -> bool:
        return bool(self.params) and self.params[-1].startswith(("cl_int *", "int *"))

    def prototype(self, prefix: str) -> str:
        return f"{self.result} {prefix}{self.name}({', '.join(self.params)})"

    def in_c(self) -> str:
        """Return the entry's function."""
        arguments = ", ".join(f"a{index}" for index in range(len(self.params)))
        prefix = "plain_" if self.name in _LOOKED_AT else "icd_"
        head = f"static {self.prototype(prefix)}"
        if self.is_foreign:
            return f"{head} {{ {self._failing('CL_INVALID_OPERATION')} }}"
        # What is released at a program's end is released by that.
        is_release = self.name.startswith("clRelease")
        refused = "return CL_SUCCESS;" if is_release else self._failing("CL_OUT_OF_HOST_MEMORY")
        if self.name == _UNMAPS:
            last = f"a{len(self.params) - 1}"
            refused = f"if (gon_why == GON_ENDED) return gon_unmapped({last}); {refused}"
        return guarded(head, f"gon_{self.name}({arguments})", refused)

    def _failing(self, code: str) -> str:
        if self.gives_code:
            return f"return {code};"
        last = f"a{len(self.params) - 1}"
        note = f"if ({last}) *{last} = {code}; " if self.has_code_last else ""
        return f"{note}return{'' if self.result == 'void' else ' NULL'};"


def _split(params: str) -> tuple[str, ...]:
    """Return what stands between the outermost commas."""
    parts, depth = [""], 0
    for char in params:
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return tuple(part.strip() for part in parts if part.strip() not in ("", "void"))


def types_text() -> str:
    """Return the types' declarations."""
    return (HERE / "khronos" / "opencl.h").read_text().partition("\n\n")[0]


def entries() -> tuple[Entry, ...]:
    """Return the dispatch table."""
    found: list[Entry] = []
    for line in (HERE / "khronos" / "opencl.h").read_text().partition("\n\n")[2].splitlines():
        match = _PROTOTYPE.fullmatch(line)
        if match is None:
            found.append(Entry(line.strip("/* ")))
            continue
        result = " ".join(match[1].split()).replace(" *", "*")
        found.append(Entry(match[2], result, _split(match[3])))
    return tuple(found)


def python_prototypes() -> str:
    """Return what Python gives the driver: the entries, and what is called when a program ends."""
    own = [f"{entry.prototype('gon_')};" for entry in entries() if entry.is_in_python]
    return "\n".join([*own, _AGAIN, "void gon_shutdown(void);"])


def driver() -> Driver:
    """Return what the driver is made of."""
    types = [
        types_text(),
        # What a handle points to: the loader finds the table in its first word. Of an event it may
        # keep times, which are those that are asked for once it is over.
        "struct gon_object { const void *const *dispatch; cl_bool has_times; cl_ulong times[5]; };",
        "void *gon_platform(void);",
        "void *gon_word(void);",
        "void gon_note_launch(cl_ulong number);",
        "void gon_keep_times(void *word, const cl_ulong *times);",
        "void gon_forget_times(void *word);",
    ]
    return Driver(
        file="libgon_opencl.so",
        api="GoN OpenCL",
        verbose="GON_ICD_VERBOSE",
        module="_gon_opencl",
        types="\n".join(types),
        prototypes=python_prototypes(),
        source=c_source(),
        entries="gon_shim.opencl.entries",
        files=(("gon.icd", "{driver}\n"),),
    )


def c_source() -> str:
    """Return the driver's own source."""
    written = (HERE / "driver.c").read_text("utf-8")
    before, _, after = written.partition(MARK)
    table = entries()
    made = [entry.in_c() for entry in table if entry.result and entry.name not in _IN_C]
    in_c = (*_IN_C, *_LOOKED_AT)
    made += [f"{entry.prototype('icd_')};" for entry in table if entry.name in in_c]
    again = f"static {_AGAIN.replace('gon_', 'guarded_').rstrip(';')}"
    failing = "return CL_OUT_OF_HOST_MEMORY;"
    made.append(guarded(again, "gon_launch_again(number, event, queued_ns)", failing))
    rows = [
        f"  (const void *)icd_{entry.name}," if entry.result else "  (const void *)gon_unsupported,"
        for entry in table
    ]
    used = {"CL_OUT_OF_HOST_MEMORY", *re.findall(r"\bCL_\w+", written)}
    numbers = [f"#define {name} {vars(constants)[name]}" for name in sorted(used)]
    listed = ["static const void *const gon_table[] = {", *rows, "};"]
    return "\n".join([*numbers, before, *made, *listed, after])
