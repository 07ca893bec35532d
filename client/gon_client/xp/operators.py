"""What Python's operators and conversions do with arrays: functions of the standard, with the array
on either side; and one element as a number of Python's, which waits.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from typing import Final, Generic, Self, TypeAlias, TypeVar

from gon.array_rules import Dtype

ArrayT = TypeVar("ArrayT")
# What Python has numbers of.
Number: TypeAlias = bool | int | float | complex
# In the place of another operand: there is none.
ALONE: Final = object()


class Operators(ABC, Generic[ArrayT]):
    """`_apply` is what they all do: a function of the array and others."""

    __slots__ = ()

    @abstractmethod
    def _apply(self, function: str, other: object = ALONE, *, reflected: bool = False) -> ArrayT:
        """Return what a function makes of the array, and of another operand unless that is ALONE;
        `reflected` says that the other one stands first. Returns NotImplemented for what is no
        operand.
        """

    @abstractmethod
    def _power(self, other: object) -> ArrayT:
        """Return the array to the power of another operand, as NumPy's operator does."""

    @abstractmethod
    def _in_place(self, result: ArrayT) -> Self:
        """Take a result of this shape for the array's content, in its own type of elements."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def dtype(self) -> Dtype: ...

    @abstractmethod
    def item(self) -> Number:
        """Return the one element, waiting for it."""

    def _scalar(self) -> Number:
        if self.shape:
            raise TypeError(f"an array of {list(self.shape)} is not one number")
        return self.item()

    def __bool__(self) -> bool:
        return bool(self._scalar())

    def __int__(self) -> int:
        found = self._scalar()
        if isinstance(found, complex):
            raise TypeError("a complex number is no int")
        return int(found)

    def __float__(self) -> float:
        found = self._scalar()
        if isinstance(found, complex):
            raise TypeError("a complex number is no float")
        return float(found)

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"an array of {self.dtype} is no index")
        return operator.index(self._scalar())  # type: ignore[arg-type]

    def __abs__(self) -> ArrayT:
        return self._apply("abs")

    def __invert__(self) -> ArrayT:
        return self._apply("bitwise_invert")

    def __neg__(self) -> ArrayT:
        return self._apply("negative")

    def __pos__(self) -> ArrayT:
        return self._apply("positive")

    def __add__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("add", other)

    def __radd__(self, other: Number) -> ArrayT:
        return self._apply("add", other, reflected=True)

    def __iadd__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__add__(other))

    def __and__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("bitwise_and", other)

    def __rand__(self, other: Number) -> ArrayT:
        return self._apply("bitwise_and", other, reflected=True)

    def __iand__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__and__(other))

    def __floordiv__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("floor_divide", other)

    def __rfloordiv__(self, other: Number) -> ArrayT:
        return self._apply("floor_divide", other, reflected=True)

    def __ifloordiv__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__floordiv__(other))

    def __lshift__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("bitwise_left_shift", other)

    def __rlshift__(self, other: Number) -> ArrayT:
        return self._apply("bitwise_left_shift", other, reflected=True)

    def __ilshift__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__lshift__(other))

    def __mod__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("remainder", other)

    def __rmod__(self, other: Number) -> ArrayT:
        return self._apply("remainder", other, reflected=True)

    def __imod__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__mod__(other))

    def __mul__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("multiply", other)

    def __rmul__(self, other: Number) -> ArrayT:
        return self._apply("multiply", other, reflected=True)

    def __imul__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__mul__(other))

    def __or__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("bitwise_or", other)

    def __ror__(self, other: Number) -> ArrayT:
        return self._apply("bitwise_or", other, reflected=True)

    def __ior__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__or__(other))

    def __rshift__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("bitwise_right_shift", other)

    def __rrshift__(self, other: Number) -> ArrayT:
        return self._apply("bitwise_right_shift", other, reflected=True)

    def __irshift__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__rshift__(other))

    def __sub__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("subtract", other)

    def __rsub__(self, other: Number) -> ArrayT:
        return self._apply("subtract", other, reflected=True)

    def __isub__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__sub__(other))

    def __truediv__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("divide", other)

    def __rtruediv__(self, other: Number) -> ArrayT:
        return self._apply("divide", other, reflected=True)

    def __itruediv__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__truediv__(other))

    def __xor__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("bitwise_xor", other)

    def __rxor__(self, other: Number) -> ArrayT:
        return self._apply("bitwise_xor", other, reflected=True)

    def __ixor__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__xor__(other))

    def __pow__(self, other: ArrayT | Number) -> ArrayT:
        return self._power(other)

    def __rpow__(self, other: Number) -> ArrayT:
        return self._apply("pow", other, reflected=True)

    def __ipow__(self, other: ArrayT | Number) -> Self:
        return self._in_place(self.__pow__(other))

    def __ge__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("greater_equal", other)

    def __gt__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("greater", other)

    def __le__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("less_equal", other)

    def __lt__(self, other: ArrayT | Number) -> ArrayT:
        return self._apply("less", other)

    def __eq__(self, other: object) -> ArrayT:  # type: ignore[override]
        return self._apply("equal", other)

    def __ne__(self, other: object) -> ArrayT:  # type: ignore[override]
        return self._apply("not_equal", other)

    # What is equal to others element by element has no hash.
    __hash__ = None  # type: ignore[assignment]
