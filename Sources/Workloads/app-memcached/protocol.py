"""The text protocol of memcached."""

import os

import app
import store


class Memcached(store.Protocol):
    def command(self, port):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["/usr/bin/memcached", *user, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-m", "8", "-t", "2"]

    def ask_set(self, connection, key, value):
        connection.send(f"set {key} 7 0 {len(value)}\r\n{value}\r\n".encode())

    def take_set(self, connection):
        answer = connection.line()
        if answer != b"STORED":
            raise app.Wrong(f"{connection.name}: a write was answered with {answer[:80]!r}")

    def ask_get(self, connection, key):
        connection.send(f"get {key}\r\n".encode())

    def take_get(self, connection):
        words = connection.line().split()
        if words == [b"END"]:
            return None
        if len(words) != 4 or words[0] != b"VALUE" or words[2] != b"7":
            raise app.Wrong(f"{connection.name}: a read was answered with {words[:4]}")
        value = connection.exactly(int(words[3]) + 2)[:-2].decode(errors="replace")
        if (end := connection.line()) != b"END":
            raise app.Wrong(f"{connection.name}: after a value comes {end[:80]!r}")
        return value


PROTOCOL = Memcached()
FIRST_PORT = 16600
