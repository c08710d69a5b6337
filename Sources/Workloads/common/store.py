"""Applications that keep values under keys: redis, memcached, and HTTP servers. Installed beside app.py.

Every value tells its key and the number of its write, so that an answer can be judged without knowing the server's state:
it must be at least as new as the last write that was acknowledged.
"""

import os
import signal

import app

KEYS = 64
CONNECTIONS = 4


def value_of(key, number):
    filler = app.mixed(key * 1000003 + number)
    # Long ones now and then, so that more than one size class is used.
    return f"{key}:{number}:{filler:010d}" + "x" * (3000 if number % 40 == 0 else filler % 50)


def require(key, answer, acknowledged):
    """Judges an answer: it must be the value of a write to this key, of number `acknowledged` or later."""
    if answer is None:
        raise app.Wrong(f"acknowledged write {acknowledged} of key {key} is lost: the key is not there")
    words = answer.split(":")
    if len(words) != 3 or words[0] != str(key) or not words[1].isdigit() or answer != value_of(key, int(words[1])):
        raise app.Wrong(f"key {key} has a value that nobody wrote: {answer[:60]}")
    if int(words[1]) < acknowledged:
        raise app.Wrong(f"acknowledged write {acknowledged} of key {key} is lost: it has that of {words[1]}")
    return int(words[1])


class Client:
    """Writes and reads over connections that stay open, and logs what was acknowledged."""

    def __init__(self, protocol, connect, prefix="key", log="acks.log"):
        self.protocol, self.prefix = protocol, prefix
        self.connections = [connect(f"connection {each}") for each in range(CONNECTIONS)]
        self.log = app.AckLog(log)
        self.latest = {}
        self.number = 0

    def step(self):
        writes = []
        for connection in self.connections:
            self.number += 1
            key = app.mixed(self.number) % KEYS
            self.protocol.ask_set(connection, f"{self.prefix}{key}", value_of(key, self.number))
            writes.append((key, self.number))
        # Requests of one step are under way at once; two for the same key may be done in either order.
        pending = {}
        for key, number in writes:
            pending.setdefault(key, []).append(number)
        for connection, (key, number) in zip(self.connections, writes):
            self.protocol.take_set(connection)
            self.log.add(key, number)
            self.latest[key] = min(pending[key])
        for each, connection in enumerate(self.connections):
            self.protocol.ask_get(connection, f"{self.prefix}{self.chosen(each)}")
        for each, connection in enumerate(self.connections):
            key = self.chosen(each)
            answer = self.protocol.take_get(connection)
            if key in self.latest:
                self.latest[key] = require(key, answer, self.latest[key])
            elif answer is not None:
                raise app.Wrong(f"key {key} was never written and has {answer[:60]}")

    def chosen(self, each):
        return app.mixed(self.number * 31 + each) % KEYS

    def verify(self):
        for key, number in sorted(self.latest.items()):
            connection = self.connections[key % CONNECTIONS]
            self.protocol.ask_get(connection, f"{self.prefix}{key}")
            require(key, self.protocol.take_get(connection), number)

    def damage(self):
        """Overwrites a value behind the client's back."""
        key = min(self.latest)
        self.protocol.ask_set(self.connections[0], f"{self.prefix}{key}", value_of(key, 0))
        self.protocol.take_set(self.connections[0])


class Application:
    """A server and its client in one tree; `protocol` knows how to start it and how to talk to it."""

    def __init__(self, protocol, first_port):
        self.protocol, self.first_port, self.server = protocol, first_port, None

    def start(self):
        self.port = app.free_port(self.first_port)
        self.server = app.Server(self.protocol.command(self.port), **self.protocol.options)
        self.client = Client(
            self.protocol, lambda name: self.server.connected(("127.0.0.1", self.port), name))
        self.protocol.begin(self)

    def step(self, number):
        self.server.require()
        self.client.step()
        self.protocol.extra(self, number)

    def damage(self):
        self.client.damage()

    def verify(self):
        self.client.verify()

    def stop(self, verified):
        if self.server is None:
            return
        if not verified:
            self.server.process.kill()
            return
        self.server.end(codes=self.protocol.codes)


class Protocol:
    """What servers have in common."""

    options = {}
    codes = (0, -signal.SIGTERM)

    def begin(self, application):
        """Once, after the connections are there."""

    def extra(self, application, number):
        """With each step."""


class HTTP(Protocol):
    """Keys as paths: POST stores, GET answers; `/health` tells how the server's own parts are."""

    health = None

    def ask_set(self, connection, key, value):
        body = value.encode()
        connection.send(
            f"POST /{key} HTTP/1.1\r\nHost: crlab\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def take_set(self, connection):
        status, body = self.answer(connection)
        if status != 200 or body != b"stored":
            raise app.Wrong(f"{connection.name}: a write was answered with {status} {body[:60]!r}")

    def ask_get(self, connection, key):
        connection.send(f"GET /{key} HTTP/1.1\r\nHost: crlab\r\n\r\n".encode())

    def take_get(self, connection):
        status, body = self.answer(connection)
        if status == 404:
            return None
        if status != 200:
            raise app.Wrong(f"{connection.name}: a read was answered with {status} {body[:60]!r}")
        return body.decode(errors="replace")

    def answer(self, connection):
        words = connection.line().split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.1"):
            raise app.Wrong(f"{connection.name}: an answer begins with {words[:3]}")
        length, chunked = 0, False
        while header := connection.line():
            name, _, value = header.lower().partition(b":")
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                chunked = b"chunked" in value
            elif name == b"connection" and b"close" in value:
                raise app.Wrong(f"{connection.name}: the server wants to close it")
        if not chunked:
            return int(words[1]), connection.exactly(length)
        body = b""
        while size := int(connection.line(), 16):
            body += connection.exactly(size)
            connection.line()
        connection.line()
        return int(words[1]), body

    def extra(self, application, number):
        """Asks how the server's threads and timers are: `ok` and counters that never fall."""
        connection = application.client.connections[number % CONNECTIONS]
        self.ask_get(connection, "health")
        text = self.take_get(connection) or "nothing"
        words = text.split()
        if words[0] != "ok":
            raise app.Wrong(f"the server says of itself: {text}")
        counters = list(map(int, words[1:]))
        if self.health and any(new < old for new, old in zip(counters, self.health)):
            raise app.Wrong(f"the server's counters went back from {self.health} to {counters}")
        self.health = counters


def check(protocol):
    """From outside the tree, over connections of its own: everything acknowledged is there, and a write is taken."""
    acknowledged = {}
    for key, number in app.AckLog.read():
        acknowledged.setdefault(int(key), []).append(int(number))
    connection = app.Connection(("127.0.0.1", app.known_port()), "the check's connection")
    for key, numbers in sorted(acknowledged.items()):
        protocol.ask_get(connection, f"key{key}")
        # Up to as many writes as there are connections are under way at once, in any order.
        require(key, protocol.take_get(connection), max(numbers) - CONNECTIONS)
    protocol.ask_set(connection, "outside", value_of(0, os.getpid()))
    protocol.take_set(connection)
    protocol.ask_get(connection, "outside")
    require(0, protocol.take_get(connection), os.getpid())


def witness(protocol):
    """A client outside the tree: its connections stay open while the server is dumped and restored."""
    port = app.known_port()
    client = Client(
        protocol, lambda name: app.Connection(("127.0.0.1", port), f"the witness's {name}"),
        prefix="witness", log="witness.log")
    while not os.path.exists(f"{app.WORK}/witness-stop"):
        client.step()
        with open(f"{app.WORK}/witness-progress", "w") as file:
            file.write(f"{client.number}\n")
        app.pause(0.01)
    client.verify()
