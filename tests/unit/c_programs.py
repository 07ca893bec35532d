"""Small programs of C, drawn at random from a seed: numbers of every width, loops, branches, local
arrays, structures, calls with pointers. Nothing in them is undefined: numbers that may grow are
unsigned or kept small, shifts are by less than the width, indices are taken modulo the size.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

ARRAY = 8
UNSIGNED = ("unsigned", "unsigned long long", "unsigned short", "unsigned char")
SIGNED = ("int", "short", "signed char", "long long")
HEAD = """struct Pair { unsigned char tag; short low; unsigned long long high; unsigned part[3]; };
__device__ unsigned mix(unsigned *p, int n) {
    unsigned sum = 0;
    for (int i = 0; i < n; i++) { p[i] = p[i] * 31u + sum; sum ^= p[i] >> 3; }
    return sum;
}
__device__ struct Pair make(unsigned a, unsigned long long b) {
    struct Pair made;
    made.tag = a; made.low = (short)(b & 0x7fff); made.high = b * 3u + a;
    for (int i = 0; i < 3; i++) made.part[i] = a >> i;
    return made;
}
__device__ unsigned long long fold(const struct Pair *p, int which) {
    return p->high + p->part[which % 3] * 5u + p->tag - p->low;
}
"""


@dataclass
class _Text:
    """One function being written; `left` bounds its statements."""

    rng: random.Random
    lines: list[str] = field(default_factory=list[str])
    depth: int = 1
    left: int = 14
    names: int = 0

    def add(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # Expressions ----------------------------------------------------------------------------------
    def whole(self, depth: int = 0) -> str:
        """An unsigned or narrow expression: nothing in it overflows but what wraps around."""
        rng = self.rng
        if depth > 2 or rng.random() < 0.25:
            return rng.choice(
                ["a", "b", "u", "w", "k", f"t[{rng.choice('akub')} % {ARRAY}u]", "pair.high",
                 "(unsigned)pair.tag", f"{rng.randrange(1 << 32)}u", f"{rng.randrange(100)}u",
                 f"{rng.randrange(1 << 48)}ull", f"(unsigned)s{rng.randrange(2)}", "'A' + 0u"]
            )  # fmt: skip
        left, right = self.whole(depth + 1), self.whole(depth + 1)
        match rng.randrange(9):
            case 0:
                return f"({left} << ({right} & 15u))"
            case 1:
                return f"({left} >> ({right} & 31u))"
            case 2:
                return f"({left} {rng.choice('/%')} ({right} | 1u))"
            case 3:
                return f"({rng.choice('~-')}{left})"
            case 4:
                return f"({self.truth(depth + 1)} ? {left} : {right})"
            case 5:
                return f"({rng.choice(UNSIGNED)})({left})"
            case _:
                return f"({left} {rng.choice('+-*&|^')} {right})"

    def truth(self, depth: int = 0) -> str:
        rng = self.rng
        left = f"({rng.choice(SIGNED)})({self.whole(depth + 1)})"
        right = self.whole(depth + 1)
        compared = f"({left} {rng.choice(['<', '>', '<=', '>=', '==', '!='])} {right})"
        if rng.random() < 0.3 and depth < 2:
            return f"({compared} {rng.choice(['&&', '||'])} {self.truth(depth + 1)})"
        return f"(!{compared})" if rng.random() < 0.2 else compared

    # Statements -----------------------------------------------------------------------------------
    def block(self) -> None:
        self.depth += 1
        for _ in range(self.rng.randrange(1, 4)):
            self.statement()
        self.depth -= 1

    def statement(self) -> None:
        self.left -= 1
        if self.left < 0 or self.depth > 4:
            self.add(f"w += {self.whole()};")
            return
        match self.rng.randrange(11):
            case 0:
                self.add(f"if ({self.truth()}) {{")
                self.block()
                self.add("} else {")
                self.block()
                self.add("}")
            case 1:
                self.names += 1
                i = f"i{self.names}"
                self.add(f"for (int {i} = 0; {i} < {self.rng.randrange(1, 6)}; {i}++) {{")
                self.add(f"    if (({self.whole()}) % 7u == 3u) continue;")
                self.block()
                self.add(f"    t[{i} % {ARRAY}] ^= u;")
                self.add("}")
            case 2:
                self.add("k = 3; do {")
                self.block()
                self.add(f"    if ({self.truth()}) break;")
                self.add("} while (k-- > 0 && k < 4);")
            case 3:
                self.add(f"switch (({self.whole()}) % 5u) {{")
                self.add(f"case 0: u += 3; case 1: u ^= {self.whole()}; break;")
                self.add(f"case 2: {{ unsigned short n = {self.whole()}; w += n; }} break;")
                self.add("default: u--; }")
            case 4:
                self.add(f"pair = make({self.whole()}, {self.whole()});")
                self.add(f"w ^= fold(&pair, {self.rng.randrange(9)});")
            case 5:
                start = self.rng.randrange(ARRAY - 2)
                self.add(f"u += mix(t + {start}, {self.rng.randrange(1, ARRAY - start)});")
            case 6:
                self.add(f"{{ unsigned *q = &t[{self.rng.randrange(ARRAY)}]; *q += u; (*q)--; }}")
            case 7:
                s = f"s{self.rng.randrange(2)}"
                self.add(f"{s} = ({self.rng.choice(SIGNED[:3])})({self.whole()});")
                self.add(f"w += {s} / 3; w ^= {s} % 5; w += {s} >> 2;")
            case 8:
                self.add(f"x = (float)(({self.whole()}) & 0xfffu) * 0.25f - x * 0.5f;")
                self.add("if (x > 4096.0f || x < -4096.0f) x = 1.5f; w += (int)x;")
            case 9:
                self.add(
                    f"{{ unsigned v = {self.whole()}; {{ unsigned u = v; w += u; }} t[0] ^= v; }}"
                )
            case _:
                name = self.rng.choice(["u", "w", f"t[u % {ARRAY}u]", "pair.high", "pair.part[1]"])
                sign = self.rng.choice(["=", "+=", "-=", "*=", "^=", "|=", "&="])
                self.add(f"{name} {sign} {self.whole()};")


def function_of(seed: int) -> str:
    """A device function `f<seed>` of two numbers that gives one."""
    text = _Text(random.Random(seed))
    text.add(f"unsigned t[{ARRAY}] = {{a, b, 1u, 2u}};")
    text.add("unsigned u = a ^ b, k = 1; unsigned long long w = b; float x = 0.0f;")
    text.add("short s0 = (short)(a & 0x7fffu); signed char s1 = -3; struct Pair pair = make(a, b);")
    for _ in range(6):
        text.statement()
    text.add(f"for (int i = 0; i < {ARRAY}; i++) w = w * 33u + t[i];")
    text.add("return w + u + k + (unsigned)s0 + (unsigned)s1 + pair.high + (unsigned)(int)x;")
    body = "\n".join(text.lines)
    head = f"__device__ unsigned long long f{seed}(unsigned a, unsigned b) {{"
    return f"{head}\n{body}\n}}\n"
