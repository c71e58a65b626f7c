"""A pickle read as data: plain containers and tensors' places, never an object and never a call.

What a pickle does to a `Skipped` thing is swallowed, so callbacks, optimisers and settings of a
training run go by unseen (`pickled` says what names mean). `pickletools` reads the bytes; it knows
the opcodes and executes none.

Bounded: `MAX_BYTES` of pickle and `MAX_WORK` steps, each of which costs little whatever came
before. Python's own unpickler takes memory for what a header claims (a memo of four thousand
million entries is five bytes), and hashes nested tuples without end.

Source: CPython's Lib/pickletools.py; torch 2.13's _weights_only_unpickler.py for the opcodes.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from vqcodec.errors import InputError
from vqcodec.importing.pickled import (
    DICTS,
    MAX_EXTENT,
    PARAMETERS,
    REBUILDERS,
    STORAGES,
    Known,
    Skipped,
    StorageRef,
    TensorRef,
    named,
    tensor,
)

MAX_BYTES: Final = 16 << 20  # a VQGAN's with its optimisers has about 0.5 MB
MAX_WORK: Final = 1_000_000  # steps, 4 seconds; such a checkpoint has about 100,000
MAX_KEY_BITS: Final = 64  # of integers as keys: hashing a long one costs time


def unpickle(stream: BinaryIO, storages: dict[str, StorageRef] | None = None) -> Any:
    """Read one pickle as data.

    Args:
        stream: at its first byte; left behind its last. At most `MAX_BYTES` are read as pickle.
        storages: takes every storage that the pickle names, by its key.

    Returns:
        None, booleans, numbers, text, bytes, tuples, lists and dictionaries of these, with
        `TensorRef`, `StorageRef` and `Skipped` among them.

    Raises:
        InputError: not a pickle, too large, of too many steps, or it names something harmful.
    """
    begin = stream.tell()
    window = io.BytesIO(stream.read(MAX_BYTES))
    machine = _Machine({} if storages is None else storages)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in text of the oldest protocol
            for opcode, argument, _ in pickletools.genops(window):
                machine.step(opcode.name, argument)
    except InputError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError) as error:
        raise InputError(f"its pickle is damaged ({' '.join(str(error).split())[:80]}).") from error
    stream.seek(begin + window.tell())
    return machine.result


class _Machine:
    """A stack machine that puts data together."""

    def __init__(self, storages: dict[str, StorageRef]) -> None:
        self.storages = storages
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks that marks have put aside
        self.memo: dict[int, Any] = {}
        self.work = 0
        self.result: Any = None

    def step(self, name: str, argument: Any) -> None:
        """Do one opcode."""
        self.charge(1)
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise InputError(f"its pickle has the opcode {name}, which weights have no use for.")

    def charge(self, amount: int) -> None:
        """Count work, so that no pickle takes for ever."""
        self.work += amount
        if self.work > MAX_WORK:
            raise InputError(f"its pickle takes more than {MAX_WORK:,} steps: not a checkpoint.")

    def pop_mark(self) -> list[Any]:
        """Take what has been put on the stack since the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def push(self, value: Any) -> None:
        """Put a value on the stack that is now the upper one."""
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def stop(self, _: Any) -> None:
        (self.result,) = self.stack  # a ValueError unless one thing is left

    def last_as_tuple(self, n: int) -> None:
        items = tuple(self.stack[-n:])
        if len(items) != n:
            raise ValueError("stack underflow")
        self.stack[-n:] = [items]

    def remember(self, key: Any) -> None:
        self.memo[len(self.memo) if key is None else int(key)] = self.stack[-1]

    def append(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)
        elif not isinstance(self.stack[-1], Skipped):
            raise ValueError("appends to what is no list")

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if _is_key(key):  # nothing else can be a tensor's name
                    target[key] = value
        elif not isinstance(target, Skipped):
            raise ValueError("sets items of what is no dictionary")

    def reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(arguments, tuple):
            arguments = ()
        self.stack.append(self.call(called, arguments))

    def new_object(self, n_arguments: int) -> None:
        arguments = [self.stack.pop() for _ in range(n_arguments)][-1]
        called = self.stack.pop()
        self.stack.append(self.call(called, arguments if isinstance(arguments, tuple) else ()))

    def instance(self, called: Any, arguments: list[Any]) -> None:
        self.stack.append(self.call(called, tuple(arguments)))

    def name_on_stack(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        self.stack.append(named(module, name))

    def old_object(self, _: Any) -> None:
        called, *arguments = self.pop_mark()
        self.instance(called, arguments)

    def dictionary_of_mark(self, _: Any) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self.set_items(items)

    def call(self, called: Any, arguments: tuple[Any, ...]) -> Any:
        """What would come of a call, had it been made."""
        if not isinstance(called, Known):
            return called if isinstance(called, Skipped) else Skipped(type(called).__name__)
        if called.name in DICTS:
            return self.dictionary(arguments)
        if called.name in PARAMETERS and arguments and isinstance(arguments[0], TensorRef):
            return arguments[0]
        if called.name in REBUILDERS and len(arguments) >= 4:
            return tensor(*arguments[:4])
        return Skipped(called.name)

    def dictionary(self, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        """Of an `OrderedDict`, which old pickles fill by a list of pairs."""
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        self.charge(len(pairs))
        found = [pair for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
        return {key: value for key, value in found if _is_key(key)}

    def build(self, _: Any) -> None:
        """State of an object: none here has any."""
        self.stack.pop()

    def storage(self, _: Any) -> None:
        """The place of elements, which torch writes as a persistent id."""
        found = self.stack.pop()
        if (
            not isinstance(found, tuple)
            or len(found) < 5
            or found[0] not in ("storage", b"storage")
        ):
            raise ValueError("a persistent id that is no storage")
        kind, key, _, n_elements, *view = found[1:]
        if isinstance(key, int):
            key = str(key)
        if not isinstance(kind, Known) or not isinstance(key, str) or view not in ([], [None]):
            name = kind.name if isinstance(kind, Known | Skipped) else "unknown"
            self.stack.append(Skipped(name))
        elif type(n_elements) is not int or not 0 <= n_elements <= MAX_EXTENT:
            raise ValueError("a storage without a size")
        else:
            dtype = STORAGES[kind.name.rpartition(".")[2]]
            self.storages[key] = StorageRef(key, dtype, n_elements)
            self.stack.append(self.storages[key])


def _is_key(key: Any) -> bool:
    return isinstance(key, str) or (isinstance(key, int) and key.bit_length() <= MAX_KEY_BITS)


_LITERALS = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)

Step = Callable[[_Machine, Any], Any]


def _push(make: Callable[[], Any]) -> Step:
    return lambda machine, _: machine.push(make())


_STEPS: dict[str, Step] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": _Machine.stop,
    "NONE": _push(lambda: None),
    "NEWTRUE": _push(lambda: True),
    "NEWFALSE": _push(lambda: False),
    "EMPTY_TUPLE": _push(tuple),
    "EMPTY_LIST": _push(list),
    "EMPTY_DICT": _push(dict),
    "EMPTY_SET": _push(lambda: Skipped("builtins.set")),
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.pop_mark(),
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: machine.last_as_tuple(1),
    "TUPLE2": lambda machine, _: machine.last_as_tuple(2),
    "TUPLE3": lambda machine, _: machine.last_as_tuple(3),
    "LIST": lambda machine, _: machine.push(machine.pop_mark()),
    "FROZENSET": lambda machine, _: machine.instance(
        Skipped("builtins.frozenset"), machine.pop_mark()
    ),
    "DICT": _Machine.dictionary_of_mark,
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "ADDITEMS": lambda machine, _: machine.append(machine.pop_mark()),
    "SETITEM": lambda machine, _: machine.set_items(
        [machine.stack.pop(), machine.stack.pop()][::-1]
    ),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "GET": lambda machine, key: machine.push(machine.memo[key]),
    "BINGET": lambda machine, key: machine.push(machine.memo[key]),
    "LONG_BINGET": lambda machine, key: machine.push(machine.memo[key]),
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember,
    "GLOBAL": lambda machine, name: machine.push(named(*name.split(" ", 1))),
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "INST": lambda machine, name: machine.instance(named(*name.split(" ", 1)), machine.pop_mark()),
    "OBJ": _Machine.old_object,
    "NEWOBJ": lambda machine, _: machine.new_object(1),
    "NEWOBJ_EX": lambda machine, _: machine.new_object(2),
    "BINPERSID": _Machine.storage,
}
