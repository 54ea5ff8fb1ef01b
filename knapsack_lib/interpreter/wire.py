"""Messages between the host, the warm parent and its children: four bytes of length, then that much
JSON.

    host -> parent   Order; "fork" carries the child's ends of its socket and of its output
    parent -> host   Status, at the start and to an order that asks for it
    host -> child    Handover, with descriptors; Block; Answer, to a Call
    child -> host    Ready; any number of Calls, then Done

The child side reads this file too, where nothing of the package exists: standard library only. What
it needs is captured by name here, so that a block that patches `json` or the builtins changes what
it sees itself and not how its step is reported. TypedDicts describe messages; they check nothing.
What a child sends is checked by the host (step.py).
"""

import json
from _json import make_encoder, make_scanner
from _socket import SCM_RIGHTS, SOL_SOCKET
from _struct import iter_unpack, pack, unpack
from collections.abc import Sequence
from time import monotonic
from typing import Any, Literal, NoReturn, TypedDict

MAX_MESSAGE = 1 << 20  # bytes of a message that code of the model has a part in
_quoted = json.encoder.encode_basestring_ascii
_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


class Order(TypedDict, total=False):
    do: Literal["fork", "allow", "end"]  # allow: it may fork once, to keep a copy of its state
    child: int  # the host's name for it
    adopt: tuple[int, int] | None  # (name, process) of the copy that takes the ended child's place
    report: bool  # whether to answer with the signal


class Status(TypedDict, total=False):
    missing: str | None  # at the start: a protection that does not work here, and why
    why: str
    signal: int  # to an order that asks for it: which had ended the child; 0: it had exited


class Handover(TypedDict):
    purpose: Literal["output", "copy"]  # the end of a pipe; a socket and a pipe for a copy


class Block(TypedDict):
    step: int
    code: str
    mode: str
    seed: int
    tools: list[str]


class Answer(TypedDict, total=False):
    value: Any
    kind: str  # of a refusal, in place of a value
    message: str


class Ready(TypedDict):
    ready: int  # its process id, believed only where the kernel does not tell


class Call(TypedDict):
    call: str
    args: list[Any]


class BlockError(TypedDict):
    type: str
    message: str
    line: int | None
    trace: str


class Done(TypedDict):
    done: int  # the step
    error: BlockError | None
    bindings: list[str]
    written: list[str]
    shadowed: list[str]


def framed(message: Any, strict: bool = False) -> memoryview:
    """A message as it is sent. `strict`: numbers that are JSON, and no more than MAX_MESSAGE bytes.

    Raises TypeError or ValueError.
    """
    encode = make_encoder({}, _refuse, _quoted, None, ":", ",", False, False, not strict)
    body = "".join(encode(message, 0)).encode()
    if strict and len(body) > MAX_MESSAGE:
        raise ValueError(f"more than {MAX_MESSAGE} bytes at once")
    return memoryview(pack(">I", len(body)) + body)


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"a tool takes plain JSON values, not {type(value).__name__}")


def lacking(data: bytes | bytearray, most: int) -> int:
    """How many bytes the first message in `data` still lacks, as far as can be known; 0 or less
    once it is whole. Raises ValueError when its body has more than `most`."""
    if len(data) < 4:
        return 4 - len(data)
    (size,) = unpack(">I", data[:4])
    if size > most:
        raise ValueError(f"a message of {size} bytes")
    return 4 + size - len(data)


def send(sock: Any, message: Order | Status | Handover, fds: Sequence[int] = ()) -> None:
    """One message, with descriptors at its head."""
    whole = framed(message)
    extra = [(SOL_SOCKET, SCM_RIGHTS, pack(f"{len(fds)}i", *fds))] if fds else []
    sent = sock.sendmsg([whole], extra)
    if sent < len(whole):  # sending nothing to a child that has read all and left would be an error
        sock.sendall(whole[sent:])


def receive(
    sock: Any, space: int = 0, most: int = 1 << 32, until: float | None = None
) -> tuple[Any, dict[int, list[int]]]:
    """One message, and the numbers that the kernel delivered with it in at most `space` bytes at a
    time: {SCM_RIGHTS: descriptors}, fewer than were sent where there was no room, or
    {SCM_CREDENTIALS: [pid, uid, gid]}.

    `until`: when to give up, on the clock of time.monotonic(). Raises OSError, of which
    ConnectionResetError is the end of the stream, or ValueError for what is no message.
    """
    data = b""
    attached: dict[int, list[int]] = {}
    while (missing := lacking(data, most)) > 0:
        if until is not None:
            sock.settimeout(max(0.0, until - monotonic()))
        part, extra, _, _ = sock.recvmsg(missing, space)
        if not part:
            raise ConnectionResetError("the process at the other end of the socket is gone")
        data += part
        for level, kind, packed in extra:
            if level == SOL_SOCKET:
                attached[kind] = [
                    number for (number,) in iter_unpack("i", packed[: len(packed) // 4 * 4])
                ]
    text = data[4:].decode()
    try:
        message, end = _scan(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):
        raise ValueError("a message that is not JSON")
    return message, attached
