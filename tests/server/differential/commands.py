# SPDX-License-Identifier: Apache-2.0
"""Random commands: well-formed ones by a grammar, and what becomes of them when somebody gets them wrong."""

import re

# One command a line; the number in front is the weight. (a|b) one of them, ...? perhaps, {...}+ one to four times.
#   $s $l $h $k     a key that is mostly a string, a list, a hash, or any; $m a list that others are moved to
#   $v $e $f        value, element, field
#   $i $n $o $d     small integer, count, offset, decimal
#   $rel $prel      times from now, in seconds and milliseconds; $at $pat: since the epoch; $t a blocking command's timeout
#   $db $g $c $p    database, glob, channel, pattern
GRAMMAR = r"""
3 PING $v?
3 ECHO $v
3 SELECT $db
1 HELLO (2|3)? {SETNAME name}?
1 AUTH default $v
1 RESET
1 CLIENT (ID|INFO|GETNAME|HELP|GETREDIR)
1 CLIENT SETNAME (a|b|conn-7)
1 CLIENT LIST (TYPE (normal|pubsub|master|replica|nope)|ID 999999999)?
1 CLIENT NO-EVICT (ON|OFF|maybe)
1 CLIENT REPLY (ON|maybe)
1 CLIENT KILL (1.2.3.4:5|ID 999999999|ID 0|TYPE pubsubb|ADDR 1.2.3.4:5|LADDR 1.2.3.4:5 SKIPME (yes|no|maybe)|USER nobody)
1 COMMAND GETKEYS (GET $k|MSET {$k $v}+|LMPOP $n {$k}+ LEFT|PING x|RENAME $k $k|BLMOVE $l $l LEFT RIGHT 0|COPY $k $k|nope x)
1 COMMAND (COUNT|HELP|INFO nope|LIST FILTERBY (MODULE x|PATTERN nope*|ACLCAT nope)|DOCS nope)
20 GET $s
30 SET $s $v
20 SET $s $v (NX|XX)? GET? (EX $rel|PX $prel|EXAT $at|PXAT $pat|KEEPTTL)?
5 SETNX $s $v
3 SETEX $s $rel $v
3 PSETEX $s $prel $v
5 GETSET $s $v
4 GETDEL $s
6 GETEX $s (EX $rel|PX $prel|EXAT $at|PXAT $pat|PERSIST)?
6 MGET {$k}+
6 MSET {$s $v}+
4 MSETNX {$s $v}+
10 APPEND $s $v
6 STRLEN $s
8 GETRANGE $s $i $i
1 SUBSTR $s $i $i
8 SETRANGE $s $o $v
8 INCR $s
5 DECR $s
8 INCRBY $s $i
5 DECRBY $s $i
10 INCRBYFLOAT $s $d
8 DEL {$k}+
4 UNLINK {$k}+
8 EXISTS {$k}+
8 TYPE $k
4 TOUCH {$k}+
6 RENAME $k $k
5 RENAMENX $k $k
6 COPY $k $k {DB $db}? REPLACE?
6 EXPIRE $k $rel (NX|XX|GT|LT)?
6 PEXPIRE $k $prel (NX|XX|GT|LT)?
8 EXPIREAT $k $at (NX|XX|GT|LT)?
8 PEXPIREAT $k $pat (NX|XX|GT|LT)?
6 TTL $k
6 PTTL $k
6 EXPIRETIME $k
6 PEXPIRETIME $k
6 PERSIST $k
4 KEYS $g
2 SCAN (0|$i) {MATCH $g}? {COUNT $n}? {TYPE (string|list|hash|set|nope)}?
2 HSCAN $h 0 {MATCH $g}? {COUNT $n}?
1 RANDOMKEY
3 DBSIZE
1 FLUSHDB (SYNC|ASYNC)?
1 FLUSHALL (SYNC|ASYNC)?
3 OBJECT (ENCODING|REFCOUNT|IDLETIME) $k
1 OBJECT HELP
25 LPUSH $l {$e}+
30 RPUSH $l {$e}+
8 RPUSH $m {$e}+
4 LPOP $m
4 LRANGE $m 0 -1
4 LPUSHX $l {$e}+
4 RPUSHX $l {$e}+
10 LPOP $l $n?
10 RPOP $l $n?
6 LLEN $l
12 LRANGE $l $i $i
8 LINDEX $l $i
8 LSET $l $i $e
8 LINSERT $l (BEFORE|AFTER) $e $e
8 LREM $l $i $e
6 LTRIM $l $i $i
8 LPOS $l $e {RANK $i}? {COUNT $n}? {MAXLEN $n}?
8 LMOVE $l $l (LEFT|RIGHT) (LEFT|RIGHT)
6 RPOPLPUSH $l $l
6 LMPOP (1 $l|2 $l $l|3 $l $l $l|$n {$l}+) (LEFT|RIGHT) {COUNT $n}?
30 HSET $h {$f $v}+
6 HSETNX $h $f $v
10 HGET $h $f
8 HMGET $h {$f}+
5 HMSET $h {$f $v}+
8 HGETALL $h
5 HKEYS $h
5 HVALS $h
5 HLEN $h
6 HEXISTS $h $f
8 HDEL $h {$f}+
10 HINCRBY $h $f $i
10 HINCRBYFLOAT $h $f $d
5 HSTRLEN $h $f
4 HRANDFIELD $h {$n WITHVALUES?}?
10 MULTI
3 EXEC
1 DISCARD
4 WATCH {$k}+
2 UNWATCH
5 PUBLISH (news|sport|a.b) $v
2 PUBSUB (CHANNELS $g?|NUMSUB (news|a.b)? (sport|zz)?|NUMPAT|HELP)
1 CONFIG SET notify-keyspace-events (KEA|Kg$lhx|)
1 CONFIG GET (notify-keyspace-events|nope*)
1 MEMORY USAGE $k {SAMPLES $n}?
1 TIME
1 LASTSAVE
1 SLOWLOG (LEN|RESET|GET $n|HELP)
1 ACL WHOAMI
1 INFO (server|clients|nope)
1 NOSUCHCOMMAND $v $v
"""

# Sent alone, as their replies may have to wait. Nobody waits for a list to which elements are moved that somebody waited for: Redis
# serves all who wait for the first list before those who wait for the second, and here each element goes its way alone.
BLOCKING = r"""
10 BLPOP {$l}+ $t
10 BRPOP {$l}+ $t
12 BLMOVE $l $m (LEFT|RIGHT) (LEFT|RIGHT) $t
10 BLMPOP $t (1 $l|2 $l $l|$n {$l}+) (LEFT|RIGHT) {COUNT $n}?
6 BRPOPLPUSH $l $m $t
"""

# What a connection that listens sends.
LISTENING = r"""
10 SUBSCRIBE {$c}+
10 PSUBSCRIBE {$p}+
6 UNSUBSCRIBE {$c}+
2 UNSUBSCRIBE
6 PUNSUBSCRIBE {$p}+
2 PUNSUBSCRIBE
5 PING $v?
3 GET $s
2 PUBLISH $c $v
2 MULTI
2 EXEC
1 RESET
1 QUIT
1 HELLO (2|3)
1 ECHO $v
1 NOSUCHCOMMAND
2 PUBSUB (CHANNELS|NUMPAT|NUMSUB $c)
"""

HOSTILE = [b"", b"0", b"-0", b"-1", b"-2", b"2", b"3", b"+1", b" 1", b"1 ", b"01", b"1.5", b"1e3", b"0x10", b"nan", b"inf", b"-inf",
           b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"-9223372036854775809",
           b"18446744073709551616", b"4294967296", b"2147483648", b"-2147483649", b"1e400", b"1e-400", b"abc", b"\x00", b"1\x00",
           b"\xff\xfe", b"a b", b"\r\n", b"*", b"?", b"[", b"\\", b"x" * 300, b"NX", b"XX", b"GET", b"EX", b"PX", b"KEEPTTL",
           b"PERSIST", b"COUNT", b"MATCH", b"TYPE", b"LEFT", b"RIGHT", b"BEFORE", b"WITHVALUES", b"RANK", b"MAXLEN", b"DB",
           b"REPLACE"]

GLOBS = [b"*", b"?", b"??", b"s*", b"[sl]?", b"[^s]*", b"h[1-3]", b"*1", b"\\*", b"[", b"", b"**", b"l?*", b"[a-z]2", b"nope",
         b"*\xff*"]
CHANNELS = [b"news", b"sport", b"a.b", b"", b"bin\x00\xff"]
PATTERNS = [b"news", b"*", b"n*", b"a.?", b"[ns]*", b"__key*__:*", b"zz", b""]
PAST, FUTURE = [1, 1000, 1000000000], [4102444800, 4200000000, 5000000000, 9000000000]
VALUES = [b"", b"0", b"1", b"-7", b"10", b"3.5", b"007", b"+5", b"9223372036854775807", b"-9223372036854775808",
          b"9223372036854775800", b"12345678901234567890", b"true", b"null", b"abc", b"hello world", b"a", b"b", b"c", b"\xc3\xa4",
          b"\xff\xfe\x00", b"with\r\nline", b"\x00", b"\"quoted\"", b"{}", b"[1]", b"1e5", b"1.50", b" 1", b"x" * 70,
          b"y" * 600, b"-0", b"-1.5", b"0.1", b"1e-7", b"100000000000000000000", b"inf"]
FIELDS = [b"f10", b"F", b"", b"\xff", b"a b", b"7"]
DECIMALS = [b"0.1", b"-0.1", b"1", b"3.0e3", b"1.5", b"100", b"-5", b"0.0000001", b"1e17", b"123456789.125", b"0", b"10.50"]


class Rule:
    """A part of the grammar: appends arguments to `out`."""

    def __init__(self, kind, items, text=b""):
        self.kind, self.items, self.text = kind, items, text

    def expand(self, source, out):
        if self.kind == "word":
            out.append(self.text)
        elif self.kind == "variable":
            out.append(source.variable(self.text))
        elif self.kind == "sequence":
            for item in self.items:
                item.expand(source, out)
        elif self.kind == "choice":
            source.random.choice(self.items).expand(source, out)
        elif self.kind == "perhaps":
            if source.random.random() < 0.4:
                self.items[0].expand(source, out)
        elif self.kind == "repeat":
            for _ in range(source.random.choice((1, 1, 2, 3, 4))):
                self.items[0].expand(source, out)


def read_rule(text):
    tokens = re.findall(r"[(){}|?+]|\$[a-z]+|[^\s(){}|?+]+", text)
    place = 0

    def sequence(ends):
        nonlocal place
        alternatives, items = [], []
        while place < len(tokens) and tokens[place] not in ends:
            token = tokens[place]
            place += 1
            if token == "|":
                alternatives.append(Rule("sequence", items))
                items = []
                continue
            if token in "({":
                item = sequence(")}")
                place += 1
            elif token[0] == "$" and token[1:] in VARIABLES:
                item = Rule("variable", [], token[1:])
            else:
                item = Rule("word", [], token.encode())
            if place < len(tokens) and tokens[place] in "?+":
                item = Rule("perhaps" if tokens[place] == "?" else "repeat", [item])
                place += 1
            items.append(item)
        whole = Rule("sequence", items)
        return Rule("choice", [*alternatives, whole]) if alternatives else whole

    return sequence("")


VARIABLES = {"s", "l", "h", "m", "k", "v", "e", "f", "i", "n", "o", "d", "rel", "prel", "at", "pat", "db", "t", "g", "c", "p"}


def read_grammar(text):
    rules, weights = [], []
    for line in text.strip().splitlines():
        match = re.match(r"(\d+) (.*)", line)
        rules.append(read_rule(match[2]))
        weights.append(int(match[1]))
    return rules, weights


GRAMMARS = [read_grammar(text) for text in (GRAMMAR, BLOCKING, LISTENING)]


def as_integer(text):
    return int(text) if re.fullmatch(rb"-?[0-9]{1,25}", text) else None


class Source:
    """Commands from a random number generator. `quiet`: none of those that leave keys whose deadline has passed."""

    def __init__(self, random, quiet):
        self.random = random
        self.quiet = quiet
        self.plain, self.blocking, self.listening = GRAMMARS
        # No two are close: which of two deadlines is the later one may not depend on when the commands ran.
        self.spans = random.sample(range(100, 100000), 2000)

    def span(self):
        return self.spans.pop() * 1000 if self.spans else 100000000

    def key(self, kind):
        choice = self.random.random()
        if choice < 0.85:
            return b"%s%d" % (kind, self.random.randint(1, 4))
        if choice < 0.97:
            return b"%s%d" % (self.random.choice((b"s", b"l", b"h")), self.random.randint(1, 4))
        return self.random.choice((b"", b"\x00\xff", b"{k}", b"k\xc3\xa4", b"a b", b"7", b"x" * 200))

    def variable(self, name):
        random = self.random
        if name in ("s", "l", "h"):
            return self.key(name.encode())
        if name == "m":
            return b"m%d" % random.randint(1, 2)
        if name == "k":
            return self.key(random.choice((b"s", b"l", b"h")))
        if name == "v":
            return random.choice(VALUES) if random.random() < 0.7 else b"%d" % random.randint(-20, 200)
        if name == "e":
            return random.choice((b"a", b"b", b"c", b"1", b"2", b"-7")) if random.random() < 0.8 else random.choice(VALUES)
        if name == "f":
            choice = random.random()
            return b"f%d" % random.randint(1, 4) if choice < 0.6 else random.choice(FIELDS) if choice < 0.85 else (
                b"g%d" % random.randint(0, 60))
        if name == "i":
            return b"%d" % random.choice((0, 1, 2, 3, 5, 10, -1, -2, -3, -10, 100, -100, random.randint(-40, 40)))
        if name == "n":
            return b"%d" % random.choice((0, 1, 1, 2, 2, 3, 5, 10, 1000, -1, -3))
        if name == "o":
            return b"%d" % random.choice((0, 0, 1, 2, 5, 10, 100, 1500, -1, 536870912, 4294967296))
        if name == "d":
            return random.choice(DECIMALS)
        if name == "rel":
            return b"%d" % (self.span() if random.random() < 0.9 else random.choice((0, -1, -100)))
        if name == "prel":
            return b"%d" % (self.span() * 1000 if random.random() < 0.9 else random.choice((0, -1, -100)))
        if name in ("at", "pat"):
            time = random.choice(FUTURE) if random.random() < 0.85 else random.choice(PAST)
            return b"%d" % (time * (1 if name == "at" else 1000))
        if name == "db":
            return random.choice((b"0", b"0", b"1", b"2", b"15", b"16", b"-1"))
        if name == "t":
            return random.choice((b"0", b"0", b"1000", b"5000.5", b"-1", b"abc", b"0.01"))
        if name == "g":
            return random.choice(GLOBS)
        return random.choice(CHANNELS if name == "c" else PATTERNS)

    def make(self, grammar, spoiled=0.12):
        """A command, or None if time would decide what it does. So many of them are spoiled."""
        arguments = []
        self.random.choices(*grammar)[0].expand(self, arguments)
        if self.random.random() < spoiled:
            self.spoil(arguments)
        if self.random.random() < 0.3:
            arguments[0] = arguments[0].lower()
        return arguments if arguments and self.is_sound(arguments) else None

    def spoil(self, arguments):
        for _ in range(self.random.choice((1, 1, 2))):
            what = self.random.random()
            place = self.random.randrange(len(arguments))
            if what < 0.5 and len(arguments) > 1:
                arguments[max(place, 1)] = self.random.choice(HOSTILE)
            elif what < 0.65 and len(arguments) > 1:
                del arguments[max(place, 1)]
            elif what < 0.8:
                arguments.insert(max(place, 1), self.random.choice(HOSTILE))
            elif what < 0.9:
                arguments.append(self.random.choice(HOSTILE))
            elif len(arguments) > 2:
                other = self.random.randrange(1, len(arguments))
                place = max(place, 1)
                arguments[place], arguments[other] = arguments[other], arguments[place]

    def is_sound(self, arguments):
        """Whether the reply doesn't depend on time, and isn't larger than a test should have it."""
        name = arguments[0].upper()
        upper = [argument.upper() for argument in arguments]

        def soon(text, least):
            number = as_integer(text)
            return number is not None and 0 < number < least

        def past(text):
            number = as_integer(text)
            return number is not None and number < 4000000000000

        if name in (b"EXPIRE", b"SETEX", b"PEXPIRE", b"PSETEX") and len(arguments) > 2:
            if soon(arguments[2], 50000 if name in (b"EXPIRE", b"SETEX") else 50000000):
                return False
        if name in (b"SET", b"GETEX"):
            for place, word in enumerate(upper[:-1]):
                if word == b"EX" and soon(arguments[place + 1], 50000) or word == b"PX" and soon(arguments[place + 1], 50000000):
                    return False
                # Redis keeps such a key until it happens to look at it.
                if self.quiet and name == b"SET" and word in (b"EXAT", b"PXAT") and past(arguments[place + 1]):
                    if word == b"PXAT" or as_integer(arguments[place + 1]) < 3000000000:
                        return False
        if name in (b"DBSIZE", b"RANDOMKEY") and not self.quiet:
            return False  # those keys are among them
        if name == b"HRANDFIELD" and len(arguments) > 2:
            number = as_integer(arguments[2])
            if number is not None and -(1 << 62) <= number < -1000:
                return False
        if name == b"SETRANGE" and len(arguments) > 2:
            number = as_integer(arguments[2])
            if number is not None and 5000 < number < 536870912:
                return False
        if name in (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP") and len(arguments) > 1:
            timeout = arguments[1 if name == b"BLMPOP" else -1]
            try:
                if 0.05 < float(timeout.replace(b"_", b"x")) < 500:
                    return False
            except ValueError:
                if re.match(rb"0x", timeout, re.I):
                    return False
        if name == b"CLIENT" and b"KILL" in upper and b"TYPE" in upper and b"NORMAL" in upper:
            return False
        if name == b"CONFIG" and upper[1:2] not in ([b"SET"], [b"GET"]):
            return False
        if name == b"CONFIG" and upper[1] == b"SET":
            return len(arguments) == 4 and upper[2] == b"NOTIFY-KEYSPACE-EVENTS"
        return True
