#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Usage: redis_py_test.py CUBBY. redis-py as a client."""

import os
import sys
import threading

from serve import Serve, run, skip

try:
    import redis
except ImportError:
    # Debian's package belongs to Debian's Python.
    if os.path.exists("/usr/bin/python3") and os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    skip("there is no redis-py (python3-redis)")

from redis.backoff import ConstantBackoff
from redis.retry import Retry

NEW_PROTOCOL = int(redis.__version__.split(".")[0]) >= 5


def fails_with(text, call, *arguments, error=redis.ResponseError, **options):
    try:
        call(*arguments, **options)
    except error as raised:
        assert text in str(raised), raised
        return
    raise AssertionError(f"{arguments} doesn't fail")


def values(server, client):
    assert client.ping()
    assert client.set("a", b"\x00\r\n\xff") and client.get("a") == b"\x00\r\n\xff"
    assert client.set("a", 1, nx=True) is None and client.set("a", 1, xx=True, ex=100, get=True) == b"\x00\r\n\xff"
    assert 90 < client.ttl("a") <= 100 and 90_000 < client.pttl("a") <= 100_000
    assert client.incr("a", 41) == 42 and client.incrbyfloat("f", 0.5) == 0.5
    assert client.mset({"m1": "1", "m2": "2"}) and client.mget("m1", "none", "m2") == [b"1", None, b"2"]
    assert client.append("m1", "23") == 3 and client.getrange("m1", 1, -1) == b"23" and client.strlen("m1") == 3
    assert client.rpush("l", *range(10)) == 10 and client.lrange("l", -3, -1) == [b"7", b"8", b"9"]
    assert client.lpop("l", 2) == [b"0", b"1"] and client.lpos("l", 5) == 3 and client.lmove("l", "l2") == b"2"
    assert client.hset("h", mapping={"one": 1, "two": 2}) == 2 and client.hgetall("h") == {b"one": b"1", b"two": b"2"}
    assert client.hincrby("h", "one", 9) == 10 and client.hdel("h", "two", "three") == 1 and client.hlen("h") == 1
    assert client.type("h") == b"hash" and client.exists("h", "l", "none") == 2 and client.delete("h", "none") == 1
    assert client.rename("l", "list") and client.copy("list", "copy") and client.unlink("copy") == 1
    assert client.expire("list", 100) and client.persist("list") and client.ttl("list") == -1 and client.ttl("none") == -2
    assert client.dbsize() == 6 and client.flushdb() and client.dbsize() == 0


def errors(server, client):
    client.set("a", "text")
    fails_with("WRONGTYPE", client.lpush, "a", 1)
    fails_with("not an integer", client.incr, "a")
    fails_with("unknown command 'ZADD'", client.execute_command, "ZADD", "z", 1, "a")
    fails_with("wrong number of arguments", client.execute_command, "GET")
    assert client.get("a") == b"text"


def about_the_server(server, client):
    info = client.info()
    assert info["redis_version"] == "7.0.15" and info["tcp_port"] == server.port, info
    assert client.config_get("maxclients") == {"maxclients": "10000"}
    assert client.config_set("slowlog-log-slower-than", 0) and client.get("x") is None
    assert client.slowlog_get() and client.slowlog_reset() and client.config_set("slowlog-log-slower-than", 10_000)
    assert client.client_setname("tester") and client.client_getname() in ("tester", b"tester")
    assert [one for one in client.client_list() if one["name"] == "tester"]
    assert client.client_id() == client.client_info()["id"] and client.time()[0] > 1_600_000_000
    client.set("x", "y" * 1000)
    assert client.memory_usage("x") > 1000 and client.object("encoding", "x") == b"raw"
    assert client.command_count() > 100 and "get" in client.command()
    assert client.lastsave() and client.acl_whoami() in ("default", b"default")


def pipelines(server, client):
    with client.pipeline(transaction=False) as pipe:
        for n in range(20_000):
            pipe.set(f"k{n}", n)
            pipe.get(f"k{n}")
        replies = pipe.execute()
    assert replies[0::2] == [True] * 20_000 and replies[1::2] == [str(n).encode() for n in range(20_000)]
    with client.pipeline() as pipe:
        pipe.set("a", "x").incr("a").get("a")
        replies = pipe.execute(raise_on_error=False)
    assert replies[0] is True and isinstance(replies[1], redis.ResponseError) and replies[2] == b"x"


def transactions_that_watch(server, client):
    client.set("n", 0)
    with client.pipeline() as pipe:
        pipe.watch("n")
        seen = int(pipe.get("n"))
        client.set("n", 10)
        pipe.multi()
        pipe.set("n", seen + 1)
        fails_with("", pipe.execute, error=redis.WatchError)
    assert client.get("n") == b"10"

    def increment():
        for _ in range(50):
            client.transaction(lambda pipe: (number := int(pipe.get("n")), pipe.multi(), pipe.set("n", number + 1)), "n")

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("n") == b"210"


def blocking_pops(server, client):
    taken = []

    def take():
        while (item := client.blpop(["jobs", "more"], timeout=60)) != (b"jobs", b"end"):
            taken.append(item[1])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(200):
        client.rpush("jobs" if n % 2 else "more", n)
    for thread in threads:
        client.rpush("jobs", "end")
    for thread in threads:
        thread.join()
    # One thread may have seen its end before the others' work was done.
    rest = client.lrange("more", 0, -1) + client.lrange("jobs", 0, -1)
    assert sorted(taken + rest, key=int) == [str(n).encode() for n in range(200)]
    assert client.brpop("nothing", timeout=0.01) is None and client.blmove("nothing", "else", 0.01) is None


def messages(server, client):
    def next_message(subscriber):
        while True:
            message = subscriber.get_message(timeout=60)
            assert message is not None
            if message["type"] in ("message", "pmessage"):
                return message

    with client.pubsub() as subscriber:
        subscriber.subscribe("news")
        subscriber.psubscribe("n*s")
        while not (client.pubsub_numsub("news")[0][1] and client.pubsub_numpat()):
            pass
        assert client.publish("news", "hello") == 2
        both = [next_message(subscriber) for _ in range(2)]
        assert [one["type"] for one in both] == ["message", "pmessage"]
        assert {one["data"] for one in both} == {b"hello"}
        subscriber.ping()
        client.config_set("notify-keyspace-events", "KEA")
        subscriber.psubscribe("__keyevent@0__:*")
        while client.pubsub_numpat() != 2:
            pass
        client.lpush("list", 1)
        message = next_message(subscriber)
        assert (message["channel"], message["data"]) == (b"__keyevent@0__:lpush", b"list")
        client.config_set("notify-keyspace-events", "")
        subscriber.unsubscribe()
        subscriber.punsubscribe()
    assert client.pubsub_channels() == []


def scans(server, client):
    client.mset({f"key:{n}": n for n in range(5000)})
    client.set("other", 1)
    assert len(set(client.scan_iter(match="key:*", count=100))) == 5000
    assert set(client.scan_iter(_type="string")) == set(client.keys())
    client.hset("h", mapping={f"f{n}": n for n in range(1000)})
    assert dict(client.hscan_iter("h", count=10)) == {f"f{n}".encode(): str(n).encode() for n in range(1000)}
    assert list(client.scan_iter(_type="hash")) == [b"h"]


def databases_and_paths(server, client):
    other = redis.Redis(port=server.port, db=5)
    other.set("only", "here")
    by_path = redis.Redis(unix_socket_path=server.path, db=5)
    assert client.get("only") is None and by_path.get("only") == b"here" and by_path.flushall()
    assert other.dbsize() == 0


def json(server, client):
    document = client.json()
    assert document.set("doc", "$", {"a": [1, 2], "b": {"c": "x"}})
    assert document.get("doc", "$.b.c") == ["x"] and document.arrappend("doc", "$.a", 3) == [3]
    assert document.numincrby("doc", "$.a[0]", 5) and document.get("doc") == {"a": [6, 2, 3], "b": {"c": "x"}}


def restarts(server, client):
    # Connecting fails with an OSError.
    patient = {"retry": Retry(ConstantBackoff(0.05), 400), "retry_on_error": [redis.ConnectionError, OSError]}
    survivor = redis.Redis(port=server.port, **patient)
    survivor.set("kept", "value")
    subscriber = survivor.pubsub()
    subscriber.subscribe("news")
    assert subscriber.get_message(timeout=60)["type"] == "subscribe"
    assert server.stop() == 0
    later = threading.Thread(target=server.start)
    later.start()
    assert survivor.get("kept") == b"value"
    later.join()
    assert survivor.incr("n") == 1
    # Reading notices, and the next one connects and subscribes anew.
    fails_with("", subscriber.get_message, timeout=60, error=redis.ConnectionError)
    assert subscriber.get_message(timeout=60)["type"] == "subscribe"
    survivor.publish("news", "again")
    assert subscriber.get_message(timeout=60)["data"] == b"again"
    subscriber.close()
    survivor.close()


def passwords(cubby):
    with Serve(cubby, "--requirepass", "open sesame") as server:
        client = redis.Redis(port=server.port, password="open sesame")
        assert client.ping()
        fails_with("Authentication required", redis.Redis(port=server.port).ping, error=redis.AuthenticationError)
        wrong = redis.Redis(port=server.port, password="wrong")
        fails_with("invalid username-password pair", wrong.ping, error=redis.RedisError)
        assert redis.Redis.from_url(f"redis://default:open%20sesame@127.0.0.1:{server.port}/3").ping()
        assert server.stop() == 0


TESTS = [
    values,
    errors,
    about_the_server,
    pipelines,
    transactions_that_watch,
    blocking_pops,
    messages,
    scans,
    databases_and_paths,
    json,
]


def main(cubby):
    print(f"redis-py {redis.__version__}")
    with Serve(cubby) as server:
        server.stop()
        server.flags += ["--dir", os.path.join(server.folder.name, "data")]
        server.start()
        for protocol in [2, 3] if NEW_PROTOCOL else [2]:
            print(f" protocol {protocol}")
            options = {"protocol": protocol} if NEW_PROTOCOL else {}
            for test in TESTS:
                with redis.Redis(port=server.port, **options) as client:
                    client.flushall()
                    run([test], server, client)
        with redis.Redis(port=server.port) as client:
            run([restarts], server, client)
        assert server.stop() == 0
    run([passwords], cubby)


if __name__ == "__main__":
    main(sys.argv[1])
