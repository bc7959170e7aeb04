#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cubby shell` on a terminal: prompts, completion, help, history, colours, Ctrl-C, messages, reconnecting."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CUBBY = os.path.realpath(sys.argv[1])
TIMEOUT = 60


class Terminal:
    """A shell on a terminal; what it has printed can be waited for, and nothing else is."""

    def __init__(self, *arguments, **environment):
        self.text = ""
        self.seen = 0
        settings = {k: v for k, v in os.environ.items() if not k.startswith("CUBBY_")}
        settings.update(TERM="xterm", LC_ALL="C.UTF-8", HOME=FOLDER, XDG_STATE_HOME=FOLDER + "/state", **environment)
        settings.pop("NO_COLOR", None)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(CUBBY, [CUBBY, "shell", *arguments], settings)

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, deadline):
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end has gone
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern):
        """Waits for the pattern behind what was expected last; without colours and movements of the cursor."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r", "", self.text)
            found = re.search(pattern, plain[self.seen :])
            if found:
                self.seen += found.end()
                return found
            assert self.read(deadline), f"expected {pattern!r} in {plain[self.seen:]!r}, all of it: {self.text!r}"

    def run(self, line, pattern):
        self.type(line + "\r")
        return self.expect(pattern)

    def end(self, code=0):
        deadline = time.monotonic() + TIMEOUT
        while self.read(deadline):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        assert os.waitstatus_to_exitcode(status) == code, (status, self.text)


def serve(port):
    server = subprocess.Popen(
        [CUBBY, "serve", "--bind", "127.0.0.1", "--port", str(port), "--http-port", "0", "--loglevel", "warning"],
        stdout=subprocess.PIPE,
    )
    assert b"serves on" in server.stdout.readline()
    return server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, *command):
    return subprocess.run(
        [CUBBY, "shell", "--port", str(port), *command], check=True, capture_output=True, timeout=TIMEOUT, text=True
    ).stdout


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.01)


def test_a_server(port):
    prompt = rf"127\.0\.0\.1:{port}"
    shell = Terminal("--port", str(port))
    shell.expect(rf"{prompt}> ")

    # Replies, with errors in red and JSON in colours.
    shell.run("set greeting 'hello world'", rf"OK\n{prompt}> ")
    shell.run("get greeting", rf'"hello world"\n{prompt}> ')
    shell.run("lpush greeting x", r"\(error\) WRONGTYPE")
    assert "\x1b[31m(error) WRONGTYPE" in shell.text
    shell.run("""json.set user $ '{"name": "Ada", "n": 1}'""", rf"OK\n{prompt}> ")
    shell.run("json.get user", rf'{{"n": 1, "name": "Ada"}}\n{prompt}> ')
    assert '\x1b[34;1m"name"\x1b[0m: \x1b[32m"Ada"\x1b[0m' in shell.text, shell.text
    shell.run("set user:7:name Ada", rf"OK\n{prompt}> ")
    shell.run('set "user:8 with blanks" Bob', rf"OK\n{prompt}> ")
    shell.run("set 'a", r"unbalanced quotes")

    # Completion: of commands in the user's case, keys, subcommands, words of the syntax, settings.
    shell.run("getra\tgreeting 0 4", rf'getrange greeting 0 4\n"hello"\n{prompt}> ')
    shell.run("GETRA\tgreeting 0 1", rf'GETRANGE greeting 0 1\n"he"\n{prompt}> ')
    shell.run("get gree\t", rf'"hello world"\n{prompt}> ')
    shell.type("get user:\t")
    shell.expect(r'"user:8 with blanks" +user:7:name\n')
    shell.run("7\t", r'"Ada"')
    shell.run('get "user:8\t', r'"Bob"')
    shell.run("config res\t", r"config resetstat \n?OK")
    shell.run("config get maxcli\t", r"10000")
    shell.type("set k v \t")
    shell.expect(r"PXAT")
    shell.expect(r"SET key value \[NX \| XX\]")
    shell.run("kee\t", r"keepttl \n?OK")

    # Help.
    shell.run("help set", r"SET key value \[NX \| XX\]")
    shell.expect(r"group: @string")
    shell.run("help nothing", rf"There is no command nothing; help lists them.\n{prompt}> ")

    # Ctrl-C cancels a line, and a command that waits.
    shell.type("set greeting other")
    shell.expect(r"set greeting other")
    shell.type("\x03")
    shell.expect(rf"\^C\n{prompt}> ")
    shell.run("get greeting", rf'"hello world"\n{prompt}> ')
    shell.type("blpop nothing 0\r")
    wait_until(lambda: "cmd=blpop" in ask(port, "client", "list"))
    shell.type("\x03")
    shell.expect(rf"{prompt}> ")
    shell.run("get greeting", r'"hello world"')

    # Prompts of other stores and of transactions.
    shell.run("select 3", rf"{prompt}\[3\]> ")
    shell.run("multi", rf"{prompt}\[3\]\(TX\)> ")
    shell.run("cubby.use orders", rf"QUEUED\n{prompt}\[3\]\(TX\)> ")
    shell.run("exec", rf"1\) OK\n{prompt}\[orders\]> ")
    shell.run("select 0", rf"OK\n{prompt}(\[0\])?> ")

    # Messages come while a line is edited, which stays.
    shell.run("subscribe news", rf'"subscribe"\n2\) "news"\n3\) \(integer\) 1\n{prompt}\(subscribed\)> ')
    shell.type("get gree")
    shell.expect(r"get gree")
    assert ask(port, "publish", "news", "something").strip() == "1"
    shell.expect(r'"something"\n.*get gree')
    shell.run("ting", r'"hello world"')
    shell.run("unsubscribe", rf"{prompt}> ")

    # What holds a password isn't kept; all else is, and comes back.
    shell.run("auth ann secret", r"WRONGPASS|\(error\)")
    shell.run("quit", r"$")
    shell.end()
    history = FOLDER + "/state/cubby/history"
    with open(history, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines[0] == "set greeting 'hello world'" and "select 3" in lines, lines
    assert not any("secret" in line for line in lines), lines
    assert os.stat(history).st_mode & 0o777 == 0o600 and os.stat(FOLDER + "/state/cubby").st_mode & 0o777 == 0o700

    shell = Terminal("--port", str(port))
    shell.expect(rf"{prompt}> ")
    shell.type("\x1b[A\x1b[A")  # quit, and what was typed before: AUTH wasn't kept
    shell.expect(r"unsubscribe")
    shell.type("\x03")
    shell.expect(rf"\^C\n{prompt}> ")
    shell.type("\x12getrange gr\r")  # searches backwards
    shell.expect(rf'"hello"\n{prompt}> ')
    shell.type("\x04")
    shell.end()


def test_reconnecting():
    port = free_port()
    prompt = rf"127\.0\.0\.1:{port}"
    server = serve(port)
    shell = Terminal("--port", str(port))
    shell.expect(rf"{prompt}> ")
    shell.run("select 2", rf"OK\n{prompt}\[2\]> ")
    server.kill()
    server.wait()
    shell.run("ping", r"Connection refused[^\n]*\nnot connected> ")
    server = serve(port)
    shell.run("ping", rf"PONG\n{prompt}\[2\]> ")
    shell.run("shutdown", r"not connected> ")
    assert server.wait(TIMEOUT) == 0
    shell.type("\x04")
    shell.end()


def test_files():
    shell = Terminal("--file", FOLDER + "/store.json")
    shell.expect(r"store\.json> ")
    shell.run("set kö 1", r"OK\n")
    shell.run("get k\t", r'"1"\n')
    shell.type("blpop nothing 0\r")
    shell.expect(r"blpop nothing 0\n")
    shell.type("\x03")
    shell.expect(r"store\.json> ")
    shell.run("incr kö", r"\(integer\) 2")
    os.kill(shell.pid, signal.SIGHUP)  # the window is closed: what was done is kept
    shell.end()
    with open(FOLDER + "/store.json", encoding="utf-8") as file:
        assert '"kö": 2' in file.read()


FOLDER = tempfile.mkdtemp()
try:
    own_port = free_port()
    own_server = serve(own_port)
    try:
        test_a_server(own_port)
    finally:
        own_server.kill()
        own_server.wait()
    test_reconnecting()
    test_files()
finally:
    shutil.rmtree(FOLDER)
print("all checks passed")
