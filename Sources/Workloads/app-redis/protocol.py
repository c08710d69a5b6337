"""The protocol of redis."""

import app
import store


class Redis(store.Protocol):
    def command(self, port):
        return [
            "/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--daemonize", "no", "--databases", "1", "--dir", app.WORK, "--ignore-warnings", "ARM64-COW-BUG",
            # A client that waits must not be sent away because a clock has jumped.
            "--timeout", "0", "--tcp-keepalive", "0",
        ]

    def begin(self, application):
        self.waiting = application.server.connected(("127.0.0.1", application.port), "the waiting connection")
        self.ask(self.waiting, "BLPOP", "queue", "0")

    def extra(self, application, number):
        """One client waits in the server whenever the tree is dumped between two steps."""
        pushing = application.client.connections[0]
        self.ask(pushing, "RPUSH", "queue", f"item{number}")
        answer = self.answer(pushing)
        taken = self.answer(self.waiting)
        if taken != ["queue", f"item{number}"]:
            raise app.Wrong(f"item{number} was pushed ({answer}), and the waiting client got {taken}")
        self.ask(self.waiting, "BLPOP", "queue", "0")

    def ask(self, connection, *words):
        text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        connection.send(text.encode())

    def answer(self, connection):
        line = connection.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+" or kind == b":":
            return rest.decode()
        if kind == b"$":
            if rest == b"-1":
                return None
            content = connection.exactly(int(rest) + 2)
            return content[:-2].decode(errors="replace")
        if kind == b"*":
            return [self.answer(connection) for _ in range(int(rest))]
        raise app.Wrong(f"{connection.name}: redis answers {line[:80]!r}")

    def ask_set(self, connection, key, value):
        self.ask(connection, "SET", key, value)

    def take_set(self, connection):
        answer = self.answer(connection)
        if answer != "OK":
            raise app.Wrong(f"{connection.name}: a write was answered with {answer}")

    def ask_get(self, connection, key):
        self.ask(connection, "GET", key)

    def take_get(self, connection):
        return self.answer(connection)


PROTOCOL = Redis()
FIRST_PORT = 16500
