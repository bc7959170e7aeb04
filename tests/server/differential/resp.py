# SPDX-License-Identifier: Apache-2.0
"""The Redis protocol as a client sees it: requests encoded, replies taken apart, connections that know what they have read.

A reply is a tuple of its kind (the first byte, as text) and its content: bytes, a number, or a list of replies. Nothing is lost, so
that two replies are equal if their bytes are.
"""

import select
import socket
import time

deadline = 20.0  # seconds after which a server that owes a reply is taken for stuck


class Stuck(Exception):
    """The server owes something and doesn't send it."""


class Closed(Exception):
    """The server has closed the connection."""


def encode(arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


def can_be_line(arguments):
    """Whether the request may be sent as a person types it, without quotes."""
    return all(a and all(33 <= b <= 126 and b not in b"'\"" for b in a) for a in arguments) and arguments[0][:1] not in b"*"


def encode_line(arguments):
    return b" ".join(arguments) + b"\r\n"


def parse(buffer, place):
    """The reply at `place` and the place behind it. Raises IndexError if it hasn't come in full."""
    end = buffer.find(b"\r\n", place)
    if end < 0:
        raise IndexError
    kind = chr(buffer[place])
    text = bytes(buffer[place + 1:end])
    place = end + 2
    if kind in "+-:_,#(":
        return (kind, text), place
    count = int(text)
    if kind in "$=!":
        if count < 0:
            return (kind, None), place
        if len(buffer) < place + count + 2:
            raise IndexError
        return (kind, bytes(buffer[place:place + count])), place + count + 2
    if kind not in "*%~>":
        raise ValueError(f"no reply begins with {kind!r}: {bytes(buffer[end - len(text) - 1:end + 80])!r}")
    if count < 0:
        return (kind, None), place
    items = []
    for _ in range(count * 2 if kind == "%" else count):
        item, place = parse(buffer, place)
        items.append(item)
    return (kind, items), place


def parse_all(buffer):
    replies, place = [], 0
    while place < len(buffer):
        reply, place = parse(buffer, place)
        replies.append(reply)
    return replies


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.buffer = bytearray()

    def close(self):
        self.socket.close()

    def send(self, data):
        view = memoryview(data)
        while view:
            readable, writable, _ = select.select([self.socket], [self.socket], [], deadline)
            if readable:
                self._receive()
            if writable:
                try:
                    view = view[self.socket.send(view):]
                except BlockingIOError:
                    pass
                except OSError as error:
                    raise Closed from error
            if not readable and not writable:
                raise Stuck("the server takes no more requests")

    def _receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self.buffer += data

    def _wait(self, until, what):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            raise Stuck(f"{what} didn't come; there is {bytes(self.buffer[:300])!r}")
        self._receive()

    def poll(self):
        """Takes what is there; whether there is anything."""
        if select.select([self.socket], [], [], 0)[0]:
            self._receive()
        return bool(self.buffer)

    def reply(self):
        """The next reply."""
        until = time.monotonic() + deadline
        while True:
            try:
                reply, place = parse(self.buffer, 0)
                del self.buffer[:place]
                return reply
            except IndexError:
                self._wait(until, "a reply")

    def replies(self, count):
        """So many replies, fewer if the server closes the connection."""
        replies, place = [], 0
        until = time.monotonic() + deadline
        try:
            while len(replies) < count:
                try:
                    reply, place = parse(self.buffer, place)
                    replies.append(reply)
                except IndexError:
                    self._wait(until, f"reply {len(replies) + 1} of {count}")
        except Closed:
            replies.append(("closed", b""))
        del self.buffer[:place]
        return replies

    def bytes_until(self, mark):
        """All bytes up to `mark`, which ends what the server has sent."""
        until = time.monotonic() + deadline
        while not self.buffer.endswith(mark):
            self._wait(until, f"{mark!r}")
        data = bytes(self.buffer[:-len(mark)])
        self.buffer.clear()
        return data

    def wait_for_bytes(self, count):
        until = time.monotonic() + deadline
        while len(self.buffer) < count:
            self._wait(until, f"{count} bytes of messages")

    def command(self, *arguments):
        self.send(encode([a if isinstance(a, bytes) else str(a).encode() for a in arguments]))
        return self.reply()
