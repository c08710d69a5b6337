"""The database of the SQLite workload and what must be true of it."""

import sqlite3

import app

PATH = f"{app.WORK}/book.db"


def connect():
    # Transactions are said in so many words; a lock that somebody holds is waited for.
    database = sqlite3.connect(PATH, isolation_level=None, timeout=60, check_same_thread=False)
    database.execute("PRAGMA synchronous = NORMAL")
    return database


def make(database):
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA wal_autocheckpoint = 50")
    database.executescript(
        "BEGIN;"
        "CREATE TABLE entries (writer INTEGER, number INTEGER, part INTEGER, text TEXT, PRIMARY KEY (writer, number, part));"
        "CREATE TABLE balances (id INTEGER PRIMARY KEY, amount INTEGER);"
        "CREATE TABLE writers (writer INTEGER PRIMARY KEY, number INTEGER);"
        "INSERT INTO writers VALUES (0, 0), (1, 0);"
        + "".join(f"INSERT INTO balances VALUES ({each}, 0);" for each in range(10)) + "COMMIT")


def text(writer, number, part):
    return f"{app.mixed(writer * 7777777 + number * 10 + part):010d}" * (1 + number % 9)


def judge_quickly(database):
    """In one snapshot: balances cancel out, and the last transaction of each writer is there in whole."""
    database.execute("BEGIN")
    total = database.execute("SELECT sum(amount) FROM balances").fetchone()[0]
    if total != 0:
        raise app.Wrong(f"the balances sum up to {total} instead of 0")
    for writer, number in database.execute("SELECT writer, number FROM writers").fetchall():
        rows = database.execute(
            "SELECT part, text FROM entries WHERE writer = ? AND number = ? ORDER BY part", (writer, number)).fetchall()
        expected = [(part, text(writer, number, part)) for part in range(1 + number % 4)] if number else []
        if rows != expected:
            raise app.Wrong(f"transaction {number} of writer {writer} is there in part: {rows} instead of {expected}")
    database.execute("COMMIT")


def judge(database, acknowledged):
    """The file is whole, and every acknowledged transaction is in it, in whole, and once."""
    if (said := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        raise app.Wrong(f"the database is damaged: {said[:3]}")
    judge_quickly(database)
    found = {}
    for writer, number, part, content in database.execute("SELECT * FROM entries"):
        if content != text(writer, number, part):
            raise app.Wrong(f"part {part} of transaction {number} of writer {writer} reads {content[:40]}")
        found[writer, number] = found.get((writer, number), 0) + 1
    for writer, number in ((int(words[0]), int(words[1])) for words in acknowledged):
        if found.get((writer, number)) != 1 + number % 4:
            raise app.Wrong(f"transaction {number} of writer {writer} was acknowledged and is lost")
