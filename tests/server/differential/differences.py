# SPDX-License-Identifier: Apache-2.0
"""Where the replies of the two servers may differ, and why. Everything else has to be equal, byte for byte."""

import re

# What isn't compared at all, as it can't be sent:
#   JSON.*, CUBBY.*                 Redis doesn't have them.
#   CLIENT NO-TOUCH and SETINFO     Redis has them since 7.2.
#   SHUTDOWN, BGSAVE, SAVE          end the server, or depend on its files.
#   short times to live             time would decide.
#   wrong passwords                 are answered the later here, the more of them there are.
#   DEBUG SLEEP                     isn't for transactions here, as only the client sleeps, not the server.
#   CLIENT REPLY OFF and SKIP       have tests of their own.
#   FLUSHALL, SELECT, KEYS ...      in a transaction, while clients wait for elements: what works on a whole store takes effect
#                                   between two parts of the transaction here, and the clients may be woken between them.
#   lists filled by a transaction   while clients wait for several: who waits gets the first of its own keys here, and of that which
#                                   was filled first there.
#   LTRIM while somebody watches    as one that takes nothing away touches it there.
#   COPY to another database        in a transaction: one is on one store here.
#   a listener's own key events     they come behind the reply here, and before it there.
#   DBSIZE after SET ... PXAT 1     Redis counts such a key until it happens to look at it.


def is_error(reply):
    return reply[0] == "-"


def ordered(reply):
    return (reply[0], sorted(reply[1])) if isinstance(reply[1], list) else reply


def pairs_ordered(reply):
    if not isinstance(reply[1], list):
        return reply
    items = reply[1]
    return reply[0], sorted(zip(items[::2], items[1::2]))


def shape(reply):
    """Its kind, and whether it is there."""
    return reply[0], reply[1] is None


def shape_and_count(reply):
    return (reply[0], len(reply[1])) if isinstance(reply[1], list) else shape(reply)


def hello(reply):
    if not isinstance(reply[1], list):
        return reply
    items = list(reply[1])
    items[7] = None
    return reply[0], items


def nearly(redis, ours):
    """Times that were read one after the other."""
    if redis[0] != ":" or ours[0] != ":":
        return redis == ours
    a, b = int(redis[1]), int(ours[1])
    return a == b or (a >= 0 and b >= 0 and abs(a - b) <= 60000)


def far(redis, ours):
    """A deadline behind the year 2262 here is its end."""
    limit = 9223372036
    return redis[0] == ":" == ours[0] and int(redis[1]) >= limit and int(ours[1]) >= limit


# Command, or command and subcommand: what is compared of a reply that is no error, and why no more.
COMPARED = {
    "HGETALL": (pairs_ordered, "members of an object are sorted by name; a hash table has its own order"),
    "HKEYS": (ordered, "members are sorted by name"),
    "HVALS": (ordered, "members are sorted by name"),
    "KEYS": (ordered, "the order is the hash table's"),
    "PUBSUB CHANNELS": (ordered, "the order is the hash table's"),
    "SCAN": (shape, "cursors and their steps are the hash table's; whole walks are compared"),
    "HSCAN": (shape, "cursors and their steps are the hash table's; whole walks are compared"),
    "RANDOMKEY": (shape, "random"),
    "HRANDFIELD": (shape_and_count, "random"),
    "OBJECT ENCODING": (shape, "values are laid out otherwise"),
    "OBJECT REFCOUNT": (shape, "Redis shares small integers"),
    "OBJECT IDLETIME": (shape, "time"),
    "MEMORY USAGE": (shape, "values are laid out otherwise"),
    "TIME": (shape_and_count, "time"),
    "LASTSAVE": (shape, "time"),
    "INFO": (shape, "describes the server"),
    "SLOWLOG GET": (shape, "time decides what is slow"),
    "SLOWLOG LEN": (shape, "time decides what is slow"),
    "HELLO": (hello, "ids of clients"),
    "CLIENT ID": (shape, "ids of clients"),
    "CLIENT INFO": (shape, "addresses, buffers"),
    "CLIENT LIST": (shape, "addresses, buffers"),
    "CLIENT HELP": (shape, "lists the subcommands there are"),
    "COMMAND HELP": (shape, "lists the subcommands there are"),
    "OBJECT HELP": (shape, "lists the subcommands there are"),
    "PUBSUB HELP": (shape, "lists the subcommands there are"),
    "SLOWLOG HELP": (shape, "lists the subcommands there are"),
    "COMMAND COUNT": (shape, "there are fewer"),
    "COMMAND": (shape, "there are fewer"),
    "COMMAND INFO": (shape, "arities, keys and the flags that both know are compared on their own"),
    "COMMAND DOCS": (shape, "describes the server"),
    "COMMAND LIST": (shape, "there are fewer"),
    "CONFIG GET": (shape, "describes the server"),
}

# Commands whose replies are times in numbers.
TIMES = {"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"}

# Single differences: the command, what Redis answers, what we answer (patterns of the replies' texts), and why.
ALLOWED = [
    (rb"COPY .* DB", ":", "COPY to another database can't be part of a transaction", "a transaction is on one store"),
    (rb"B", "timeout is negative", "timeout is out of range", "Redis 7.0 lets a number overflow here and takes it for negative"),
]


def name_of(arguments):
    name = arguments[0].upper().decode("latin-1")
    if len(arguments) > 1:
        whole = name + " " + arguments[1].upper().decode("latin-1")
        if whole in COMPARED:
            return whole
    return name


def allowed(arguments, redis, ours):
    text = [repr(reply) for reply in (redis, ours)]
    command = b" ".join(arguments)
    for pattern, theirs, own, _ in ALLOWED:
        if re.match(pattern, command, re.I | re.S) and re.search(theirs, text[0]) and re.search(own, text[1]):
            return True
    return False


def agree(arguments, redis, ours):
    """Whether the replies to a command are equal, as far as they can be."""
    if redis == ours:
        return True
    name = name_of(arguments)
    if not is_error(redis) and not is_error(ours):
        if name in TIMES and (nearly(redis, ours) or far(redis, ours)):
            return True
        if name in COMPARED:
            compared = COMPARED[name][0]
            if compared(redis) == compared(ours):
                return True
    return allowed(arguments, redis, ours)


def agree_all(queued, redis, ours):
    """The same for the reply of an EXEC, which has one for each command that was queued."""
    if redis == ours:
        return True
    if redis[0] != "*" or ours[0] != "*" or not redis[1] or not ours[1] or not len(redis[1]) == len(ours[1]) == len(queued):
        return False
    return all(map(agree, queued, redis[1], ours[1]))


def told(reply):
    """A reply among messages, without what may differ."""
    if reply[0] == "-":
        # The description of a command is that of its subcommands, too.
        return reply[0], re.sub(rb"Can't execute '(\w+)\|[^']*'", rb"Can't execute '\1'", reply[1])
    if reply[0] in "*%" and reply[1] and reply[1][0] == ("$", b"server"):
        return hello(reply)
    return reply


def messages(replies):
    """What a listener gets, in an order that both servers have: patterns that match the same message, and the names of UNSUBSCRIBE
    without names, come in that of Redis's hash table."""
    result, run = [], []

    def kind(reply):
        if reply[0] not in "*>" or not reply[1] or reply[1][0][0] != "$":
            return None
        word = reply[1][0][1]
        if word == b"pmessage":
            return word, repr(reply[1][2:])
        return (word,) if word in (b"unsubscribe", b"punsubscribe") else None

    def flush():
        if run and kind(run[0])[0] != b"pmessage":
            # The count goes down however the names are ordered.
            names = sorted(repr(reply[1][1]) for reply in run)
            result.append(("unsubscribed", names, [reply[1][2] for reply in run]))
        else:
            result.extend(sorted(run, key=repr))
        run.clear()

    for reply in map(told, replies):
        if run and kind(reply) != kind(run[0]):
            flush()
        if kind(reply) is None:
            # The names of PUBSUB CHANNELS are an array, too.
            names = reply[0] == "*" and reply[1] and all(item[0] == "$" for item in reply[1]) and reply[1][0][1] != b"message"
            result.append(ordered(reply) if names else reply)
        else:
            run.append(reply)
    flush()
    return result
