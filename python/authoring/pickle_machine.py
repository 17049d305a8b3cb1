# SPDX-License-Identifier: Apache-2.0
"""The language of pickles, read in time and memory that grow with the file and no faster.

Python's own unpicklers are not for files of strangers, even where they may call nothing: they take memory for lengths
that the file only claims, and hash or copy values that a few bytes have nested or repeated sixty times over. Here every
step costs what it reads: keys are short texts, calls pay for the arguments that they may look at, memory is taken for
bytes that are there, and all of the steps are counted.

Left out is what no file of arrays uses: the registry of extensions, the classes that Python 2 called old, and, unless
the reader knows what they stand for, references to what lies outside of the pickle. Sets come out as lists, keys that
are numbers as their text, and dicts without the attributes that a subclass of theirs had.
"""

from __future__ import annotations

import codecs
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from talksplat._text import shown

MAX_STEPS = 1 << 20  # a few thousand are usual: arrays are one step each
MAX_KEY_LETTERS = 256
MAX_INTEGER_BYTES = 64
MAX_NUMBER_LETTERS = 400  # of decimal text, whose conversion is quadratic
MAX_ARGUMENTS = 16
FREE_WORK = 1 << 20


class Unreadable(ValueError):
    """The pickle is damaged, or asks for what is not given."""


class Global:
    """A name in the pickle, and what stands in for it."""

    def __init__(self, make: Callable[..., object]) -> None:
        self.make = make


class Stateful(ABC):
    """A stand-in that a pickle may give a state to."""

    @abstractmethod
    def set_state(self, state: object) -> None: ...


_DAMAGE = (IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error)


class Machine:
    """One reading of one pickle.

    find: (module, name) → what stands in for it; it raises for all others.
    outside: an id of what lies outside of the pickle → what stands in for it; without it such ids are refused.
    """

    _steps: ClassVar[dict[int, Callable[[Machine], None]]]

    def __init__(
        self, data: bytes, find: Callable[[str, str], Global], outside: Callable[[object], object] | None = None
    ) -> None:
        self._data = data
        self._find = find
        self._outside = outside
        self._at = 0
        self._work = 4 * len(data) + FREE_WORK
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._memo: dict[str, Any] = {}  # by text, since numbers can be chosen to collide in a dict

    def load(self) -> object:
        """The pickled value. Raises Unreadable, and what `find` and its stand-ins raise."""
        steps = self._steps
        try:
            for _ in range(MAX_STEPS):
                code = self._data[self._at]
                self._at += 1
                if code == _STOP:
                    return self._stack.pop()
                step = steps.get(code)
                if step is None:
                    raise self._not_needed()
                step(self)
        except Unreadable:
            raise
        except _DAMAGE as error:
            raise Unreadable(f"it is damaged before byte {self._at}") from error
        raise Unreadable(f"it takes more than {MAX_STEPS} steps")

    def _not_needed(self) -> Unreadable:
        code = self._data[self._at - 1 : self._at]
        return Unreadable(f"byte {self._at - 1} asks for {code!r}, which no file of arrays needs")

    # ---- bytes of the file ----

    def _take(self, size: int) -> bytes:
        if size < 0 or size > len(self._data) - self._at:
            raise Unreadable(f"byte {self._at} claims {size} bytes, and {len(self._data) - self._at} are left")
        self._at += size
        return self._data[self._at - size : self._at]

    def _line(self, most: int | None = None) -> bytes:
        end = self._data.index(b"\n", self._at)
        if most is not None and end - self._at > most:
            raise Unreadable(f"byte {self._at} has a name or a number of {end - self._at} letters")
        line = self._data[self._at : end]
        self._at = end + 1
        return line

    def _size(self, form: str) -> int:
        size: int = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return size

    # ---- the stack ----

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _drop(self) -> None:
        self._since_mark()

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            del self._stack[-1]
        else:
            self._since_mark()

    # ---- lists and dicts ----

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise Unreadable(f"it adds to {shown(target)}, which is no list")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise Unreadable(f"it sets keys of {shown(target)}, which is no dict")
        if len(items) % 2:
            raise Unreadable("it has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key_text(key)] = value

    def _dict(self) -> None:
        items = self._since_mark()
        self._push({})
        self._set(items)

    # ---- the memo ----

    def _put(self, index: int) -> None:
        self._memo[str(index)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._push(self._memo[str(index)])

    # ---- names, and what stands in for them ----

    def _global(self, module: object, name: object) -> None:
        if not (isinstance(module, str) and isinstance(name, str) and len(module) + len(name) <= MAX_KEY_LETTERS):
            raise Unreadable(f"it names {shown(module)}.{shown(name)}")
        self._push(self._find(module, name))

    def _global_of_stack(self) -> None:
        name = self._stack.pop()
        self._global(self._stack.pop(), name)

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(arguments) is not tuple or len(arguments) > MAX_ARGUMENTS or not isinstance(function, Global):
            raise Unreadable(f"it calls {shown(function)} with {shown(arguments)}")
        for argument in arguments:
            if isinstance(argument, str | bytes | bytearray | list | tuple):
                self._work -= len(argument)
        if self._work < 0:
            raise Unreadable("it works on the same values over and over")
        self._push(function.make(*arguments))

    def _call_with_keywords(self) -> None:
        if self._stack.pop() != {}:
            raise Unreadable("it calls a class with keywords")
        self._call()

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is dict:  # an OrderedDict in the file
            return
        # Without this a pickle could set attributes of the stand-ins' classes and functions themselves.
        if not isinstance(target, Stateful):
            raise Unreadable(f"it gives a state to {shown(target)}, which has none")
        target.set_state(state)

    def _reference(self) -> None:
        if self._outside is None:
            raise self._not_needed()
        self._push(self._outside(self._stack.pop()))

    # ---- numbers and texts ----

    def _decimal(self) -> None:
        line = self._line(MAX_NUMBER_LETTERS)
        # Protocols 0 and 1 write True as the number 01.
        self._push(line == b"01" if line in (b"00", b"01") else int(line.removesuffix(b"L")))

    def _integer(self, size: int) -> None:
        if size > MAX_INTEGER_BYTES:
            raise Unreadable(f"byte {self._at} has a whole number of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _quoted(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise Unreadable(f"the text before byte {self._at} has no quotes")
        text: Any = codecs.escape_decode(line[1:-1])[0]  # bytes, whatever the type checkers' stubs say
        self._push(text.decode("latin1"))

    def _text(self, size: int) -> None:
        self._push(self._take(size).decode("utf-8", "surrogatepass"))

    def _bytes_of_python_2(self, size: int) -> None:
        self._push(self._take(size).decode("latin1"))

    def _protocol(self) -> None:
        protocol = self._take(1)[0]
        if protocol > 5:
            raise Unreadable(f"it is of protocol {protocol}; protocols 0 to 5 are read")

    def _frame(self) -> None:
        size = self._size("<Q")
        if size > len(self._data) - self._at:
            raise Unreadable(f"a frame claims {size} bytes, and {len(self._data) - self._at} are left")


def key_text(key: object) -> str:
    """A key as a text: what it takes to find one in a dict depends on the key, and a stranger chose it."""
    if isinstance(key, str) and len(key) <= MAX_KEY_LETTERS:
        return key
    if key is None or isinstance(key, int | float):
        return shown(key)
    raise Unreadable(f"keys must be texts of at most {MAX_KEY_LETTERS} letters, or numbers; got {shown(key)}")


_STOP = ord(".")
_Step = Callable[[Machine], None]


def _tuple_of(size: int) -> _Step:
    def step(m: Machine) -> None:
        if len(m._stack) < size:
            raise Unreadable(f"it makes a tuple of {size} values, and has {len(m._stack)}")
        m._stack[len(m._stack) - size :] = [tuple(m._stack[len(m._stack) - size :])]

    return step


# The names are those of pickletools.
Machine._steps = {
    ord(code): step
    for code, step in {
        "\x80": Machine._protocol,  # PROTO
        "\x95": Machine._frame,  # FRAME
        "(": Machine._mark,  # MARK
        "0": Machine._pop,  # POP
        "1": Machine._drop,  # POP_MARK
        "2": lambda m: m._push(m._stack[-1]),  # DUP
        "N": lambda m: m._push(None),  # NONE
        "\x88": lambda m: m._push(True),  # NEWTRUE
        "\x89": lambda m: m._push(False),  # NEWFALSE
        "I": Machine._decimal,  # INT
        "L": Machine._decimal,  # LONG
        "K": lambda m: m._push(m._size("<B")),  # BININT1
        "M": lambda m: m._push(m._size("<H")),  # BININT2
        "J": lambda m: m._push(m._size("<i")),  # BININT
        "\x8a": lambda m: m._integer(m._size("<B")),  # LONG1
        "\x8b": lambda m: m._integer(m._size("<i")),  # LONG4
        "F": lambda m: m._push(float(m._line(MAX_NUMBER_LETTERS))),  # FLOAT
        "G": lambda m: m._push(struct.unpack(">d", m._take(8))[0]),  # BINFLOAT
        "S": Machine._quoted,  # STRING
        "U": lambda m: m._bytes_of_python_2(m._size("<B")),  # SHORT_BINSTRING
        "T": lambda m: m._bytes_of_python_2(m._size("<i")),  # BINSTRING
        "V": lambda m: m._push(m._line().decode("raw-unicode-escape")),  # UNICODE
        "\x8c": lambda m: m._text(m._size("<B")),  # SHORT_BINUNICODE
        "X": lambda m: m._text(m._size("<I")),  # BINUNICODE
        "\x8d": lambda m: m._text(m._size("<Q")),  # BINUNICODE8
        "C": lambda m: m._push(m._take(m._size("<B"))),  # SHORT_BINBYTES
        "B": lambda m: m._push(m._take(m._size("<I"))),  # BINBYTES
        "\x8e": lambda m: m._push(m._take(m._size("<Q"))),  # BINBYTES8
        "\x96": lambda m: m._push(m._take(m._size("<Q"))),  # BYTEARRAY8
        ")": lambda m: m._push(()),  # EMPTY_TUPLE
        "t": lambda m: m._push(tuple(m._since_mark())),  # TUPLE
        "\x85": _tuple_of(1),  # TUPLE1
        "\x86": _tuple_of(2),  # TUPLE2
        "\x87": _tuple_of(3),  # TUPLE3
        "]": lambda m: m._push([]),  # EMPTY_LIST
        "l": lambda m: m._push(m._since_mark()),  # LIST
        "a": lambda m: m._extend([m._stack.pop()]),  # APPEND
        "e": lambda m: m._extend(m._since_mark()),  # APPENDS
        "\x8f": lambda m: m._push([]),  # EMPTY_SET
        "\x90": lambda m: m._extend(m._since_mark()),  # ADDITEMS
        "\x91": lambda m: m._push(m._since_mark()),  # FROZENSET
        "}": lambda m: m._push({}),  # EMPTY_DICT
        "d": Machine._dict,  # DICT
        "s": lambda m: m._set([m._stack.pop(-2), m._stack.pop()]),  # SETITEM
        "u": lambda m: m._set(m._since_mark()),  # SETITEMS
        "q": lambda m: m._put(m._size("<B")),  # BINPUT
        "r": lambda m: m._put(m._size("<I")),  # LONG_BINPUT
        "p": lambda m: m._put(int(m._line(20))),  # PUT
        "\x94": lambda m: m._put(len(m._memo)),  # MEMOIZE
        "h": lambda m: m._get(m._size("<B")),  # BINGET
        "j": lambda m: m._get(m._size("<I")),  # LONG_BINGET
        "g": lambda m: m._get(int(m._line(20))),  # GET
        "c": lambda m: m._global(m._line(128).decode(), m._line(128).decode()),  # GLOBAL
        "\x93": Machine._global_of_stack,  # STACK_GLOBAL
        "R": Machine._call,  # REDUCE
        "\x81": Machine._call,  # NEWOBJ
        "\x92": Machine._call_with_keywords,  # NEWOBJ_EX
        "b": Machine._build,  # BUILD
        "Q": Machine._reference,  # BINPERSID
    }.items()
}
