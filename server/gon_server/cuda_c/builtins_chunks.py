"""Reads built-ins from the OpenCL texts in `prelude/`: what is written by hand lies there.

A text is cut into chunks by lines that begin with `//@`:

    //@ NAME [WORD …]      a built-in; words are a kind (`part`, `type`, …), features it needs,
                           `ulp=N`, `warps`, `scratch`, `members=a,b,…`, `also=a,b,…`
    //@+ FEATURE …         a further part of the same, for units that have these features

Rules: a chunk that breaks the form is our bug and raises AssertionError at import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Final

from gon_server.cuda_c.builtin import Builtin, Feature, Kind, Part, part

_CHUNK: Final = re.compile(r"^//@ (?P<head>.*)\n(?P<body>(?:(?!//@ ).*\n)*)", re.MULTILINE)
_FURTHER: Final = re.compile(r"^//@\+ (.*)\n", re.MULTILINE)
_KINDS: Final = {kind.value: kind for kind in Kind}
_FEATURES: Final = {feature.name.lower(): feature for feature in Feature}


def read_chunks() -> Iterator[Builtin]:
    """Yield the built-ins of every text, in the order of names of files and lines."""
    texts = resources.files("gon_server.cuda_c").joinpath("prelude")
    for entry in sorted(texts.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".cl"):
            yield from parse_chunks(entry.read_text(encoding="utf-8"))


def parse_chunks(text: str) -> Iterator[Builtin]:
    """Yield the built-ins of one text; what stands before the first chunk is a comment."""
    for found in _CHUNK.finditer(text):
        yield _builtin(found["head"].split(), found["body"])


def _builtin(head: list[str], body: str) -> Builtin:
    name, words = head[0], head[1:]
    values = dict(word.split("=", 1) for word in words if "=" in word)
    flags = [word for word in words if "=" not in word]
    kinds = [_KINDS[word] for word in flags if word in _KINDS]
    needs = frozenset(_FEATURES[word] for word in flags if word in _FEATURES)
    known = {*_KINDS, *_FEATURES, "warps", "scratch"}
    assert set(flags) <= known, head
    assert set(values) <= {"ulp", "members", "also"}, head
    return Builtin(
        name,
        kinds[0] if kinds else Kind.FUNCTION,
        tuple(_parts(name, body)),
        needs,
        int(values["ulp"]) if "ulp" in values else None,
        warps="warps" in flags,
        scratch="scratch" in flags,
        members=_names(values, "members"),
        also=_names(values, "also"),
    )


def _parts(name: str, body: str) -> Iterator[Part]:
    first, *further = _FURTHER.split(body)
    if first.strip():
        yield part(first, own=name)
    for words, text in zip(further[::2], further[1::2], strict=True):
        yield part(text, {_feature(word) for word in words.split()}, own=name)


def _names(values: dict[str, str], key: str) -> frozenset[str]:
    return frozenset(values.get(key, "").split(",")) - {""}


def _feature(word: str) -> Feature:
    return _FEATURES[word]
