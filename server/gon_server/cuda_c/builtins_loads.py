"""Loads and stores with a hint of caching: here they only load and store.

In OpenCL C, which has no templates, they are macros: of any type of pointer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, function

LOADS: Final = ("__ldg", "__ldca", "__ldcg", "__ldcs", "__ldcv", "__ldlu")
STORES: Final = ("__stcg", "__stcs", "__stwb", "__stwt")


def load_builtins() -> Iterator[Builtin]:
    """Yield the loads and stores."""
    for name in LOADS:
        in_cpp = f"template <class T> static inline T gon_{name}(const T *p) {{ return *p; }}"
        in_c = f"#define gon_{name}(...) (*(__VA_ARGS__))"
        yield function(name, (in_cpp, Feature.CPP), (in_c, Feature.C12))
    for name in STORES:
        head = f"template <class T, class V> static inline void gon_{name}(T *p, V value)"
        in_c = f"#define gon_{name}(p, ...) ((void)(*(p) = (__VA_ARGS__)))"
        yield function(name, (f"{head} {{ *p = value; }}", Feature.CPP), (in_c, Feature.C12))
