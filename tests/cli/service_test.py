#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`cubby serve` as a service: systemd is told when it is ready and when it stops, and /healthz answers as Docker asks it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

CUBBY = os.path.realpath(sys.argv[1])
TIMEOUT = 60
project = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
folder = tempfile.mkdtemp()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(folder + "/notify")
        manager.settimeout(TIMEOUT)
        port, http_port = free_port(), free_port()
        server = subprocess.Popen(
            [CUBBY, "serve", "--port", str(port), "--http-port", str(http_port), "--bind", "127.0.0.1", "--dir", folder + "/data"],
            env={**os.environ, "NOTIFY_SOCKET": folder + "/notify"},
            stdout=subprocess.DEVNULL,
        )
        try:
            ready = manager.recv(4096).decode()
            assert ready == f"READY=1\nSTATUS=serving on 127.0.0.1:{port}", ready

            with open(project + "/Dockerfile", encoding="utf-8") as file:
                check = re.search(r'CMD \["bash", "-c", (".*")\]', file.read()).group(1)
            command = check[1:-1].replace("\\\\", "\\").replace("7380", str(http_port))
            subprocess.run(["bash", "-c", command], check=True, timeout=TIMEOUT)

            server.send_signal(signal.SIGTERM)
            stopping = manager.recv(4096).decode()
            assert stopping.startswith("STOPPING=1\n"), stopping
            assert server.wait(TIMEOUT) == 0
        finally:
            server.kill()
            server.wait()
        assert subprocess.run(["bash", "-c", command], stderr=subprocess.DEVNULL, timeout=TIMEOUT).returncode != 0
finally:
    shutil.rmtree(folder)
print("all checks passed")
