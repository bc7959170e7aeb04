#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: idle_connections_test.py CUBBY. Ten thousand clients that have nothing to say cost little memory, and nobody is in the
way of one that has."""

import sys

from serve import Serve, connect, raise_open_files, skip

CONNECTIONS = 10_000
MOST_EACH = 8192


def main(cubby):
    if not raise_open_files(CONNECTIONS + 100):
        skip(f"this process may not open {CONNECTIONS} files (ulimit -n)")
    with Serve(cubby, "--maxclients", str(CONNECTIONS), "--threads", "2") as server:
        if "maxclients lowered" in server.tail():
            skip("the server may not open so many files")
        # What the first ones cost is the threads' own.
        clients = [connect(server.port) for _ in range(20)]
        for client in clients:
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
        before = server.memory()
        while len(clients) < CONNECTIONS:
            more = [connect(server.port) for _ in range(min(100, CONNECTIONS - len(clients)))]
            # They have said something, as clients of a pool have.
            for client in more:
                client.sendall(b"CLIENT SETNAME somebody\r\nSET key value\r\nGET key\r\n")
            for client in more:
                answer = b""
                while len(answer) < 21:
                    answer += client.recv(100)
                assert answer == b"+OK\r\n+OK\r\n$5\r\nvalue\r\n", answer
            clients += more
        each = (server.memory() - before) / (CONNECTIONS - 20)
        print(f"{CONNECTIONS} idle connections: {each:.0f} bytes each")
        assert each <= MOST_EACH, each
        for client in (clients[0], clients[CONNECTIONS // 2], clients[-1]):
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
        too_many = connect(server.port)
        assert too_many.recv(100) == b"-ERR max number of clients reached\r\n"
        assert server.stop() == 0


if __name__ == "__main__":
    main(sys.argv[1])
