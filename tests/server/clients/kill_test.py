#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: kill_test.py CUBBY. A durable server is killed under load, again and again: what it has acknowledged is there.

Each writer has keys of its own and sends pipelines whose n-th step writes n; so what is stored has to lie between what was
acknowledged and what was sent. Where redis-benchmark is installed, it adds to the load."""

import os
import random
import shutil
import socket
import subprocess
import sys
import threading

from serve import Serve, connect

ROUNDS = 5 * int(os.environ.get("CUBBY_TEST_SCALE", "1"))
DEPTH = 32


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Writer:
    """One kind of write, n after n. `step` gives the n-th request; each has `replies` lines of reply."""

    def __init__(self, name, step, replies=1):
        self.name, self.step, self.replies = name, step, replies
        self.sent = self.acknowledged = 0
        self.settled = 0  # what was stored when the server was started last

    def work(self, port, going):
        try:
            with connect(port) as connection:
                going.release()
                received = b""
                while True:
                    first = self.sent
                    self.sent += DEPTH
                    connection.sendall(b"".join(self.step(n) for n in range(first + 1, self.sent + 1)))
                    lines = 0
                    while lines < DEPTH * self.replies:
                        received = connection.recv(1 << 16)
                        if not received:
                            return
                        assert b"-" not in received, received
                        lines += received.count(b"\n")
                        self.acknowledged = first + lines // self.replies
        except (ConnectionError, socket.timeout):
            pass

    def settle(self, stored):
        assert self.acknowledged <= stored <= self.sent, (
            f"{self.name}: {self.acknowledged} acknowledged, {stored} stored, {self.sent} sent"
        )
        self.sent = self.acknowledged = self.settled = stored


def transaction(n):
    return encode("MULTI") + encode("SET", "t1", n) + encode("HSET", "t2", "n", n) + encode("EXEC")


PAD = "x" * 100


def writers():
    return [
        Writer("SET", lambda n: encode("SET", "s", n)),
        Writer("SET of other keys", lambda n: encode("SET", f"s{n}", f"{n}:{PAD}")),
        Writer("INCR", lambda n: encode("INCR", "i")),
        Writer("RPUSH", lambda n: encode("RPUSH", "l", n)),
        Writer("HSET", lambda n: encode("HSET", "h", f"f{n % 50}", n)),
        # +OK, +QUEUED, +QUEUED, *2, +OK, :0
        Writer("MULTI", transaction, 6),
    ]


class Reader:
    def __init__(self, port):
        self.connection = connect(port)
        self.file = self.connection.makefile("rb")

    def ask(self, *words):
        self.connection.sendall(encode(*words))
        return self.read()

    def read(self):
        line = self.file.readline()
        assert line[:1] in b"+:$*", line
        if line[:1] == b"$":
            size = int(line[1:])
            return None if size < 0 else self.file.read(size + 2)[:-2].decode()
        if line[:1] == b"*":
            return [self.read() for _ in range(int(line[1:]))]
        return int(line[1:]) if line[:1] == b":" else line[1:-2].decode()

    def number(self, *words):
        return int(self.ask(*words) or 0)


def check(port, all_writers):
    reader = Reader(port)
    set_, others, incr, rpush, hset, multi = all_writers
    set_.settle(reader.number("GET", "s"))
    incr.settle(reader.number("GET", "i"))

    # Behind the first of these keys that is missing there is none.
    stored = others.settled
    while (value := reader.ask("GET", f"s{stored + 1}")) is not None:
        stored += 1
        assert value == f"{stored}:{PAD}", value
    for n in range(stored + 1, others.sent + 1):
        assert reader.ask("GET", f"s{n}") is None, n
    for _ in range(min(stored, 200)):
        n = random.randint(1, stored)
        assert reader.ask("GET", f"s{n}") == f"{n}:{PAD}", n
    others.settle(stored)

    length = reader.number("LLEN", "l")
    assert reader.ask("LRANGE", "l", 0, -1) == [str(n) for n in range(1, length + 1)]
    rpush.settle(length)

    fields = reader.ask("HVALS", "h")
    hset.settle(max(map(int, fields), default=0))

    # Both or none.
    first, second = reader.number("GET", "t1"), reader.number("HGET", "t2", "n")
    assert first == second, (first, second)
    multi.settle(first)


def main(cubby):
    benchmark = shutil.which("redis-benchmark")
    all_writers = writers()
    with Serve(cubby) as server:
        server.stop()
        server.flags += ["--dir", os.path.join(server.folder.name, "data")]
        # Checkpoints happen while it is killed, too.
        server.flags += ["--checkpoint-after", "2mb"]
        for round_ in range(ROUNDS):
            server.start()
            check(server.port, all_writers)
            going = threading.Semaphore(0)
            threads = [threading.Thread(target=writer.work, args=(server.port, going)) for writer in all_writers]
            for thread in threads:
                thread.start()
            load = None
            if benchmark and round_ % 2 == 0:
                command = [benchmark, "-p", str(server.port), "-q", "-n", "10000000", "-c", "10", "-P", "16", "-r", "10000"]
                load = subprocess.Popen(
                    command + ["-t", "set,lpush,lpop"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            for _ in threads:
                going.acquire()
            # So many steps of the slowest, each round another number.
            least = random.randint(1, 60) * DEPTH
            targets = [writer.acknowledged + least for writer in all_writers]
            pause = threading.Event()
            while any(writer.acknowledged < target for writer, target in zip(all_writers, targets)):
                assert any(thread.is_alive() for thread in threads), server.tail()
                pause.wait(0.002)
            server.kill()
            for thread in threads:
                thread.join()
            if load:
                load.kill()
                load.wait()
        server.start()
        check(server.port, all_writers)
        for writer in all_writers:
            print(f"{writer.name}: {writer.acknowledged} steps in {ROUNDS} rounds")
        assert server.stop() == 0
        # And once more, from the checkpoints of an orderly end.
        server.start()
        check(server.port, all_writers)
        assert server.stop() == 0


if __name__ == "__main__":
    main(sys.argv[1])
