"""PostgreSQL's own protocol, simple queries only, and what must be true of the bank that is kept in it."""

import struct

import app

FIRST_PORT = 17100
ACCOUNTS = 40


class Session:
    """One session over a connection that stays open."""

    def __init__(self, connection):
        self.connection = connection
        words = b"user\0crlab\0database\0postgres\0\0"
        connection.send(struct.pack("!II", len(words) + 8, 196608) + words)
        self.take()

    def ask(self, text):
        content = text.encode() + b"\0"
        self.connection.send(b"Q" + struct.pack("!I", len(content) + 4) + content)

    def take(self):
        """All rows of the answers, up to the next prompt."""
        rows, wrong = [], None
        while True:
            kind, size = struct.unpack("!cI", self.connection.exactly(5))
            content = self.connection.exactly(size - 4)
            if kind == b"D":
                rows.append(self.row(content))
            elif kind == b"E":
                wrong = " ".join(part[1:].decode(errors="replace") for part in content.split(b"\0") if part[:1] in b"SM")
            elif kind == b"R" and content != b"\0\0\0\0":
                raise app.Wrong(f"{self.connection.name}: PostgreSQL wants a password")
            if kind == b"Z" or wrong and wrong.startswith("FATAL"):
                break
        if wrong:
            raise app.Wrong(f"{self.connection.name}: PostgreSQL says {wrong}")
        return rows

    @staticmethod
    def row(content):
        words, place = [], 2
        for _ in range(struct.unpack("!H", content[:2])[0]):
            size = struct.unpack("!i", content[place:place + 4])[0]
            place += 4
            words.append(None if size < 0 else content[place:place + size].decode())
            place += max(size, 0)
        return words

    def query(self, text):
        self.ask(text)
        return self.take()

    def end(self):
        self.connection.send(b"X\0\0\0\x04")
        self.connection.close()


def first_contact(connect):
    """The first session: PostgreSQL refuses sessions while it starts."""
    while True:
        try:
            return Session(connect())
        except app.Wrong as problem:
            if "starting up" not in str(problem):
                raise
        app.pause(0.05)


def judge(session):
    """The bank as a whole, and every acknowledged transfer in it. The log first: what is acknowledged later may be there too."""
    acknowledged = {(words[0], words[1]) for words in app.AckLog.read()}
    total, broken, transfers = session.query(
        "SELECT (SELECT sum(balance) FROM accounts), (SELECT count(*) FROM accounts a WHERE balance <> "
        "coalesce((SELECT sum(CASE WHEN h.too = a.id THEN h.amount ELSE -h.amount END) FROM history h "
        "WHERE h.source <> h.too AND a.id IN (h.source, h.too)), 0)), (SELECT count(*) FROM history)")[0]
    if total != "0":
        raise app.Wrong(f"the accounts sum up to {total} instead of 0")
    if broken != "0":
        raise app.Wrong(f"{broken} accounts do not agree with their history")
    found = {(client, number) for client, number in session.query("SELECT client, number FROM history")}
    if lost := sorted(acknowledged - found):
        raise app.Wrong(f"transfer {lost[0][1]} of client {lost[0][0]} was acknowledged and is lost ({len(lost)} such)")
    if int(transfers) > len(acknowledged) + 1000:
        raise app.Wrong(f"{transfers} transfers, but only {len(acknowledged)} were acknowledged")
