# SPDX-License-Identifier: Apache-2.0
"""`cubby serve` as a process, for tests of clients."""

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile

SKIPPED = 77  # ctest's status of a test that can't run here


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Serve:
    """Listens on a free port and on a Unix socket. Keeps its port when it is started again."""

    def __init__(self, cubby, *flags):
        self.folder = tempfile.TemporaryDirectory(prefix="cubby-clients-")
        self.path = os.path.join(self.folder.name, "socket")
        self.log = os.path.join(self.folder.name, "log")
        self.cubby = cubby
        self.flags = list(flags)
        self.port = None
        self.process = None
        self.start()

    def start(self):
        for _ in range(5):
            # Somebody else may take the port meanwhile.
            port = self.port or free_port()
            command = [self.cubby, "serve", "--port", str(port), "--bind", "127.0.0.1", "--http-port", "0"]
            command += ["--unixsocket", self.path, *self.flags]
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
            if b" serves on " in self.process.stdout.readline():
                self.port = port
                return
            self.process.wait()
        raise RuntimeError(f"cubby serve doesn't start: {self.tail()}")

    def stop(self):
        """Its exit status."""
        self.process.terminate()
        return self._wait()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self._wait()

    def _wait(self):
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()

    def memory(self):
        """Bytes that are its own, in the machine's memory."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError("no RssAnon")

    def tail(self):
        with open(self.log, "rb") as log:
            return log.read()[-2000:].decode("utf-8", "replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self._wait()
        self.folder.cleanup()


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(60)
    return connection


def raise_open_files(wanted):
    """Whether so many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            return False
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def run(tests, *arguments):
    """Calls each of them, and says which it is."""
    for test in tests:
        print(f"  {test.__name__.replace('_', ' ')}", flush=True)
        test(*arguments)
