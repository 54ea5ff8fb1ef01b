"""Framing of messages: whole, bounded, in time, and with what the kernel delivers with them."""

import os
import socket
import time

import pytest

from knapsack_lib.interpreter import wire


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_arrives_as_it_was_sent_and_leaves_the_next_one_unread(ends):
    ours, theirs = ends
    first, second = {"value": [1, -2.5, "é漢\ud800\n", None, {"k": True}]}, {"value": "x" * 50_000}
    for message in (first, second):
        wire.send(ours, message)
    assert wire.receive(theirs) == (first, {})
    assert wire.receive(theirs) == (second, {})


def test_descriptors_arrive_with_their_message_where_there_is_room(ends):
    ours, theirs = ends
    read, write = os.pipe()
    for space in (socket.CMSG_SPACE(8), 0):
        wire.send(ours, {"purpose": "copy"}, [read, write])
        message, attached = wire.receive(theirs, space)
        assert message == {"purpose": "copy"} and len(attached.get(socket.SCM_RIGHTS, [])) == (
            2 if space else 0
        )
        for fd in attached.get(socket.SCM_RIGHTS, []):
            os.close(fd)
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1] 2", b"nonsense", b"\xff\xfe", b"[" * 50, b"{}" * 30]
)
def test_what_is_no_message_is_a_value_error(ends, body):
    ours, theirs = ends
    ours.sendall(len(body).to_bytes(4, "big") + body)
    with pytest.raises(ValueError):
        wire.receive(theirs, most=59)


def test_a_message_beyond_the_bound_is_refused_before_it_is_read(ends):
    ours, theirs = ends
    ours.sendall(b"\xff\xff\xff\xff{}")
    with pytest.raises(ValueError, match="4294967295 bytes"):
        wire.receive(theirs, most=wire.MAX_MESSAGE)
    assert theirs.recv(9) == b"{}"


def test_the_end_of_the_stream_is_an_error_also_within_a_message(ends):
    ours, theirs = ends
    ours.sendall(b"\0\0\0\x09{")
    ours.shutdown(socket.SHUT_WR)
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            wire.receive(theirs)


def test_a_message_that_does_not_come_is_waited_for_until_then(ends):
    start = time.monotonic()
    with pytest.raises(OSError):
        wire.receive(ends[1], until=start + 0.05)
    assert 0.04 < time.monotonic() - start < 5
    with pytest.raises(BlockingIOError):
        wire.receive(ends[1], until=0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x" * wire.MAX_MESSAGE])
def test_a_child_sends_no_number_without_end_and_no_message_beyond_the_bound(value):
    assert wire.framed({"value": value})
    with pytest.raises(ValueError):
        wire.framed({"value": value}, strict=True)


def test_only_plain_values_are_sent():
    loop = []
    loop.append(loop)
    for value, error in (
        (object(), TypeError),
        ({1}, TypeError),
        ({(): 1}, TypeError),
        (loop, ValueError),
    ):
        with pytest.raises(error):
            wire.framed(value)


def test_how_much_of_a_message_is_lacking_is_known_from_its_length_on():
    whole = bytes(wire.framed({"a": 1}))
    assert [wire.lacking(whole[:n], 99) for n in (0, 3, 4, len(whole) - 1, len(whole))] == [
        4,
        1,
        len(whole) - 4,
        1,
        0,
    ]
    assert wire.lacking(whole * 2, 99) == -len(whole)
