# SPDX-License-Identifier: Apache-2.0
"""A round: some connections to both servers, and what is sent on them, in the same order. After each batch everything that it has
set off (clients that were asleep, messages) is waited for, so that nothing depends on how fast a server is."""

import re
import time
from dataclasses import dataclass, field
from itertools import count

from commands import Source
from differences import agree, agree_all, messages
import resp
from resp import Closed, Connection, Stuck, can_be_line, encode, encode_line, parse_all

PLAIN, SLEEPERS, LISTENERS = 3, 3, 2
CONNECTIONS = PLAIN + SLEEPERS + LISTENERS
PONG = b"*2\r\n$4\r\npong\r\n"  # what stands before the mark, if a RESP2 subscriber sends PING


# What divides a transaction.
DIVIDING = {b"FLUSHALL", b"FLUSHDB", b"SELECT", b"KEYS", b"SCAN", b"DBSIZE", b"RANDOMKEY", b"INFO", b"CONFIG", b"SLOWLOG", b"COPY",
            b"MEMORY", b"LASTSAVE", b"TIME", b"ACL"}
# What may fill a list, and which of its arguments names the list.
FILLING = {b"LPUSH": 1, b"RPUSH": 1, b"LMOVE": 2, b"RPOPLPUSH": 2, b"BLMOVE": 2, b"BRPOPLPUSH": 2, b"RENAME": 2, b"RENAMENX": 2}


@dataclass
class Step:
    connection: int
    arguments: list
    kind: str  # "send", "block", "listen", "walk"
    batch: int
    as_line: bool = False


@dataclass
class Round:
    name: str
    protocols: list
    steps: list = field(default_factory=list)


@dataclass
class Difference(Exception):
    step: int
    what: str
    redis: object
    ours: object


def make_round(random, name, size):
    listening = random.random() < 0.35
    source = Source(random, quiet=random.random() < 0.8 or listening)
    sleeping = random.random() < 0.6
    result = Round(name, [random.choice((2, 2, 3)) for _ in range(CONNECTIONS)])
    batch = 0
    in_multi = set()
    filled = {}
    watching = set()
    while len(result.steps) < size:
        batch += 1
        choice = random.random()
        if listening and choice < 0.2:
            connection = PLAIN + SLEEPERS + random.randrange(LISTENERS)
            for _ in range(random.choice((1, 2, 4))):
                if command := source.make(source.listening):
                    result.steps.append(Step(connection, command, "listen", batch))
        elif sleeping and choice < 0.35:
            if command := source.make(source.blocking):
                result.steps.append(Step(random.randrange(1, PLAIN + SLEEPERS), command, "block", batch))
        elif choice < 0.37:
            options = random.choice(([], [b"COUNT", b"3"], [b"MATCH", b"[sl]*"], [b"TYPE", b"list"]))
            command = [b"SCAN", b"0", *options] if random.random() < 0.5 else [b"HSCAN", source.key(b"h"), b"0", *options[:2]]
            if command[0] == b"HSCAN" and options[:1] == [b"TYPE"]:
                del command[3:]
            result.steps.append(Step(random.randrange(PLAIN), command, "walk", batch))
        else:
            connection = random.choice((0, 0, 1, 2, *range(PLAIN + SLEEPERS)))
            for _ in range(random.choice((1, 1, 3, 10, 30))):
                # A single mistake makes a transaction fail.
                queues = connection in in_multi and random.random() < 0.9
                command = source.make(source.plain, 0.01) if queues else source.make(source.plain)
                if queues and random.random() < 0.15:
                    command = [b"EXEC"]
                if command:
                    name = command[0].upper()
                    if connection in in_multi and name == b"COPY" and b"DB" in (argument.upper() for argument in command):
                        continue
                    if name == b"WATCH":
                        watching.add(connection)
                    elif name in (b"EXEC", b"DISCARD", b"UNWATCH", b"RESET"):
                        watching.discard(connection)
                    if watching and name == b"LTRIM":
                        continue
                    if sleeping and connection in in_multi and name in FILLING:
                        destination = command[min(FILLING[name], len(command) - 1)]
                        if filled.setdefault(connection, destination) != destination:
                            continue
                    if name == b"MULTI":
                        in_multi.add(connection)
                    elif name in (b"EXEC", b"DISCARD", b"RESET") and len(command) == 1:
                        in_multi.discard(connection)
                        filled.pop(connection, None)
                    elif sleeping and connection in in_multi and name in DIVIDING:
                        continue
                    as_line = random.random() < 0.02 and can_be_line(command)
                    result.steps.append(Step(connection, command, "send", batch, as_line))
    return result


class Side:
    """One of the servers, with the round's connections to it."""

    def __init__(self, path):
        self.path = path
        self.control = Connection(path)
        self.connections = []

    def begin(self, protocols):
        self.control.command("CONFIG", "SET", "notify-keyspace-events", "")
        self.until_asleep(0)
        self.control.command("FLUSHALL")
        for protocol in protocols:
            connection = Connection(self.path)
            self.connections.append(connection)
            connection.command("HELLO", protocol)

    def end(self):
        for connection in self.connections:
            connection.close()
        self.connections = []

    def asleep(self):
        """How many clients wait for elements."""
        return int(re.search(rb"blocked_clients:(\d+)", self.control.command("INFO", "clients")[1])[1])

    def until_asleep(self, number):
        until = time.monotonic() + resp.deadline
        while self.asleep() != number:
            if time.monotonic() > until:
                raise Stuck(f"{self.asleep()} clients are blocked instead of {number}")

    def send_blocking(self, connection, data, before, short):
        """Sends it, and waits until the reply is there or the client is asleep; then None."""
        connection.send(data)
        until = time.monotonic() + resp.deadline
        while not short and not connection.poll() and self.asleep() != before + 1:
            if time.monotonic() > until:
                raise Stuck("a blocking command neither blocks nor replies")
        return connection.reply() if short or connection.poll() else None

    def walk(self, connection, arguments):
        """All that SCAN or HSCAN finds, or the error."""
        place = 1 if arguments[0] == b"SCAN" else 2
        found, cursor, pairs = set(), b"0", place == 2
        for _ in range(10000):
            reply = connection.command(*arguments[:place], cursor, *arguments[place + 1:])
            if reply[0] != "*":
                return reply
            cursor, items = reply[1][0][1], reply[1][1][1]
            found.update(zip(items[::2], items[1::2]) if pairs else items)
            if cursor == b"0":
                return sorted(found)
        raise Stuck("a walk over the keys doesn't end")


def is_short(arguments):
    """Whether a blocking command gives up at once."""
    text = arguments[1 if arguments[0].upper() == b"BLMPOP" and len(arguments) > 1 else -1]
    try:
        return float(text) <= 0.05 and re.search(rb"[1-9]", text.lower().split(b"e")[0]) is not None
    except ValueError:
        return False


class Runner:
    def __init__(self, redis, ours):
        self.redis, self.ours = redis, ours
        self.tokens = count(1)

    def run(self, round_):
        """Raises Difference, or Stuck or Closed if a server doesn't even reply."""
        self.sleepers = {}  # connection: arguments
        self.dead = set()
        self.queued = [[] for _ in range(CONNECTIONS)]
        self.listening = any(step.kind == "listen" for step in round_.steps)
        place = 0
        try:
            for side in (self.redis, self.ours):
                side.begin(round_.protocols)
            steps = round_.steps
            while place < len(steps):
                last = place + 1
                while last < len(steps) and steps[last].batch == steps[place].batch:
                    last += 1
                self.place = place
                if steps[place].connection not in self.sleepers and steps[place].connection not in self.dead:
                    getattr(self, steps[place].kind)(steps[place:last])
                    self.place = last - 1
                    self.settle()
                place = last
        except (Stuck, Closed) as error:
            raise Difference(min(place, len(round_.steps) - 1), f"{type(error).__name__}: {error}", None, None) from error
        finally:
            self.redis.end()
            self.ours.end()

    def check(self, connection, arguments, redis, ours):
        queued = self.queued[connection]
        name = arguments[0].upper()
        if name == b"EXEC" and len(arguments) == 1:
            good = agree_all(queued, redis, ours)
        else:
            good = agree(arguments, redis, ours)
        if not good:
            raise Difference(self.place, f"the reply on connection {connection} to {show(arguments)}", redis, ours)
        if redis == ("+", b"QUEUED"):
            queued.append(arguments)
        elif name in (b"EXEC", b"DISCARD", b"RESET") or (name == b"MULTI" and redis == ("+", b"OK")):
            queued.clear()

    def send(self, steps):
        connection = steps[0].connection
        data = b"".join(encode_line(step.arguments) if step.as_line else encode(step.arguments) for step in steps)
        a, b = self.redis.connections[connection], self.ours.connections[connection]
        a.send(data)
        b.send(data)
        theirs, own = a.replies(len(steps)), b.replies(len(steps))
        for step, redis, ours in zip(steps, theirs, own):
            self.check(connection, step.arguments, redis, ours)
            self.place += 1
            if redis[0] == "closed":
                self.dead.add(connection)
                break

    def block(self, steps):
        (step,) = steps
        short = is_short(step.arguments)
        replies = [side.send_blocking(side.connections[step.connection], encode(step.arguments), len(self.sleepers), short)
                   for side in (self.redis, self.ours)]
        if replies[0] is None and replies[1] is None:
            self.sleepers[step.connection] = step.arguments
        elif None in replies:
            raise Difference(self.place, f"only one blocks at {show(step.arguments)}", *replies)
        else:
            self.check(step.connection, step.arguments, *replies)

    def walk(self, steps):
        (step,) = steps
        if self.queued[step.connection]:
            return
        found = [side.walk(side.connections[step.connection], step.arguments) for side in (self.redis, self.ours)]
        if found[0] == ("+", b"QUEUED"):
            self.queued[step.connection].append(step.arguments)
        if found[0] != found[1]:
            raise Difference(self.place, f"what {show(step.arguments)} finds", *found)

    def listen(self, steps):
        connection = steps[0].connection
        # A transaction would swallow the mark at the end.
        data = b"".join(encode(step.arguments) for step in steps) + encode([b"DISCARD"])
        ended = any(step.arguments[0].upper() == b"QUIT" for step in steps)
        got = []
        for side in (self.redis, self.ours):
            link = side.connections[connection]
            link.send(data)
            if ended:
                got.append(self.until_closed(link))
            else:
                mark = b"end-%d" % next(self.tokens)
                link.send(encode([b"PING", mark]))
                got.append(link.bytes_until(b"$%d\r\n%s\r\n" % (len(mark), mark)))
        if ended:
            self.dead.add(connection)
        self.place += len(steps) - 1
        self.check_messages(connection, *got, " ; ".join(show(step.arguments) for step in steps))

    @staticmethod
    def until_closed(link):
        try:
            while True:
                link.wait_for_bytes(len(link.buffer) + 1)
        except Closed:
            return bytes(link.buffer)

    def check_messages(self, connection, redis, ours, to, in_order=True):
        redis, ours = redis.removesuffix(PONG), ours.removesuffix(PONG)
        if redis == ours:
            return
        try:
            theirs, own = messages(parse_all(redis)), messages(parse_all(ours))
        except IndexError:
            theirs, own = redis, ours
        if not in_order:
            theirs, own = sorted(theirs, key=repr), sorted(own, key=repr)
        if theirs != own:
            raise Difference(self.place, f"what connection {connection} is told ({to})", theirs, own)

    def settle(self):
        """Waits for what a batch has set off."""
        in_order = not self.sleepers  # events of who wakes a client come before those of the woken one there, behind them here
        if self.sleepers:
            woken = len(self.sleepers) - self.redis.asleep()
            until = time.monotonic() + resp.deadline
            while woken > 0:
                for connection, arguments in list(self.sleepers.items()):
                    if self.redis.connections[connection].poll():
                        del self.sleepers[connection]
                        woken -= 1
                        redis = self.redis.connections[connection].reply()
                        try:
                            ours = self.ours.connections[connection].reply()
                        except Stuck:
                            ours = ("still asleep", None)
                        self.check(connection, arguments, redis, ours)
                if time.monotonic() > until:
                    raise Stuck("clients that Redis has woken get nothing")
            for connection, arguments in self.sleepers.items():
                if self.ours.connections[connection].poll():
                    ours = self.ours.connections[connection].reply()
                    raise Difference(self.place, f"connection {connection} is woken from {show(arguments)}", "asleep", ours)
        if not self.listening:
            return
        for connection in range(PLAIN + SLEEPERS, CONNECTIONS):
            if connection in self.dead:
                continue
            a, b = self.redis.connections[connection], self.ours.connections[connection]
            mark = b"end-%d" % next(self.tokens)
            end = b"$%d\r\n%s\r\n" % (len(mark), mark)
            a.send(encode([b"PING", mark]))
            redis = a.bytes_until(end)
            try:
                b.wait_for_bytes(len(redis.removesuffix(PONG)))
            except Stuck:
                pass  # what is missing is seen below
            b.send(encode([b"PING", mark]))
            self.check_messages(connection, redis, b.bytes_until(end), "messages", in_order)


def show(arguments):
    return " ".join(repr(argument)[1:] if argument else "''" for argument in arguments)
