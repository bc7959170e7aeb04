#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the same random commands to Redis and to `cubby serve`, and compares the replies.

A round that fails is made as short as possible and printed, with the seed that makes it again. See differences.py for what may
differ.
"""

import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the sources' folder stays as it is

import resp
from resp import Connection
from rounds import Difference, Round, Runner, Side, make_round, show


class Server:
    def __init__(self, name, command, folder):
        self.name = name
        self.path = os.path.join(folder, name + ".sock")
        self.log = os.path.join(folder, name + ".log")
        with open(self.log, "wb") as log:
            command = [part.replace("SOCKET", self.path) for part in command]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        until = time.monotonic() + 60
        while True:
            try:
                connection = Connection(self.path)
                if connection.command("PING") == ("+", b"PONG"):
                    connection.close()
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                sys.exit(f"{name} doesn't start: {self.tail()}")
            time.sleep(0.02)

    def stop(self):
        """Its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "it doesn't end"

    def tail(self):
        with open(self.log, "rb") as log:
            return log.read()[-2000:].decode("utf-8", "replace")


def start(options, folder):
    redis = [options.redis, "--port", "0", "--unixsocket", "SOCKET", "--save", "", "--appendonly", "no", "--hz", "500",
             "--loglevel", "warning"]
    ours = [options.cubby, "serve", "--port", "0", "--unixsocket", "SOCKET", "--http-port", "0"]
    if options.self:
        ours = redis
    return Server("redis", redis, folder), Server("cubby", ours, folder)


def same_descriptions(redis, ours):
    """COMMAND INFO: arity, places of the keys, and the flags that decide what a client library does. The differences, as texts."""
    decisive = {b"write", b"readonly", b"denyoom", b"blocking", b"movablekeys", b"no_auth", b"pubsub"}
    # Redis describes the subcommands of these, we the whole.
    containers = {b"debug", b"memory", b"object"}
    names = [item[1] for item in ours.command("COMMAND", "LIST")[1] if item[1] not in containers]
    texts = []
    for name, own, theirs in zip(names, ours.command("COMMAND", "INFO", *names)[1], redis.command("COMMAND", "INFO", *names)[1]):
        if theirs[1] is None:
            continue  # JSON.SET and the like
        facts = [(reply[1][1], *reply[1][3:6], {flag[1] for flag in reply[1][2][1]} & decisive) for reply in (theirs, own)]
        if facts[0] != facts[1]:
            texts.append(f"COMMAND INFO {name.decode()}: Redis says {facts[0]}, cubby {facts[1]}")
    return texts


class Judge:
    """Runs rounds, on servers that it starts again if one of them is gone."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.begin()

    def begin(self):
        self.servers = start(self.options, self.folder)
        self.runner = Runner(*(Side(server.path) for server in self.servers))

    def difference(self, round_):
        try:
            self.runner.run(round_)
            return None
        except Difference as difference:
            found = difference
        except OSError as error:
            found = Difference(len(round_.steps) - 1, f"a server is gone: {error}", None, None)
        if "Stuck" in found.what or "Closed" in found.what or "gone" in found.what:
            for server in self.servers:
                if server.process.poll() is not None:
                    found.what += f"; {server.name} has ended with {server.process.returncode}: {server.tail()}"
            self.end()
            self.begin()
        return found

    def shorten(self, round_, difference, seconds):
        """The shortest round with the same kind of difference that can be found in the time."""
        until = time.monotonic() + seconds
        resp.deadline, usual = 3.0, resp.deadline
        try:
            return self.shorten_until(until, round_, difference)
        finally:
            resp.deadline = usual

    def shorten_until(self, until, round_, difference):
        best = Round(round_.name, round_.protocols, round_.steps[:difference.step + 1])
        again = self.difference(best)
        if again is None:
            return round_, difference, False
        difference = again
        size = max(len(best.steps) // 2, 1)
        while time.monotonic() < until:
            place = 0
            removed = False
            while place < len(best.steps) and time.monotonic() < until:
                trial = Round(best.name, best.protocols, best.steps[:place] + best.steps[place + size:])
                found = self.difference(trial) if trial.steps else None
                if found is not None and found.what[:12] == difference.what[:12]:
                    best, difference, removed = trial, found, True
                else:
                    place += size
            if size == 1 and not removed:
                break
            size = max(size // 2, 1)
        return best, difference, True

    def end(self):
        for side in (self.runner.redis, self.runner.ours):
            side.control.close()
        return [server.stop() for server in self.servers]


def report(round_, difference, steady):
    print(f"\nround {round_.name}: {difference.what}")
    if not steady:
        print("  (it doesn't happen when the round is run again)")
    for step in round_.steps:
        print(f"  {step.connection}/{round_.protocols[step.connection]}  {show(step.arguments)}")
    print(f"  Redis: {difference.redis!r}\n  cubby: {difference.ours!r}", flush=True)


def main():
    scale = float(os.environ.get("CUBBY_TEST_SCALE", "1"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cubby", help="the command", default="cubby")
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("--self", action="store_true", help="compare Redis with itself, to test this test")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--commands", type=int, default=int(100000 * scale))
    parser.add_argument("--size", type=int, default=400, help="commands of a round")
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument("--most", type=int, default=3, help="failures after which it ends")
    parser.add_argument("--shorten", type=float, default=20, help="seconds to make a failing round shorter")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    folder = tempfile.mkdtemp(prefix="cubby-differential-")
    judge = Judge(options, folder)
    failures, sent, number = 0, 0, options.first
    counts = collections.Counter()
    try:
        for text in same_descriptions(judge.runner.redis.control, judge.runner.ours.control):
            print(text)
            failures += 1
        while sent < options.commands and failures < options.most:
            round_ = make_round(random.Random(f"{options.seed}/{number}"), f"{options.seed}/{number}", options.size)
            number += 1
            sent += len(round_.steps)
            counts.update(step.arguments[0].upper() for step in round_.steps)
            difference = judge.difference(round_)
            if difference is not None:
                failures += 1
                report(*judge.shorten(round_, difference, options.shorten))
    finally:
        statuses = judge.end()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{sent} commands in {number - options.first} rounds, {len(counts)} different ones, {failures} failures")
    if statuses[1] != 0:
        sys.exit(f"cubby ended with {statuses[1]}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
