"""nginx with its configuration, and requests whose answers are known."""

import os

import app

FIRST_PORT = 17000
SIZES = [0, 1, 700, 9000, 70000]

CONFIGURATION = """
daemon off;
master_process on;
worker_processes 2;
pid nginx.pid;
error_log error.log;
events { worker_connections 64; }
http {
    # One line for each request that was answered: with the log of the clients, nothing may be missing or twice.
    log_format requests '$arg_client $arg_number $status';
    access_log access.log requests;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    # No connection ends because time has passed, or after some number of requests.
    keepalive_timeout 1d;
    keepalive_requests 1000000000;
    sendfile on;
    open_file_cache max=10 inactive=1d;
    server {
        listen 127.0.0.1:PORT;
        listen unix:WORK/nginx.sock;
        root WORK/site;
        location /echo { return 200 "$arg_client $arg_number"; }
    }
}
"""


def content(size):
    return b"".join(b"%08x\n" % app.mixed(size * 100000 + each) for each in range(size // 9 + 1))[:size]


def prepare(port):
    os.makedirs(f"{app.WORK}/site", exist_ok=True)
    for size in SIZES:
        with open(f"{app.WORK}/site/{size}.txt", "wb") as file:
            file.write(content(size))
    text = CONFIGURATION.replace("PORT", str(port)).replace("WORK", app.WORK)
    if os.geteuid() == 0:
        text = "user root root;\n" + text
    with open(f"{app.WORK}/nginx.conf", "w") as file:
        file.write(text)
    return ["/usr/sbin/nginx", "-p", app.WORK + "/", "-c", f"{app.WORK}/nginx.conf", "-e", "error.log"]


class Client:
    """Requests over one connection that stays open; each answer is logged once it was judged."""

    def __init__(self, connection, name, log="acks.log"):
        self.connection, self.name, self.number = connection, name, 0
        self.log = app.AckLog(log)

    def ask(self):
        self.number += 1
        size = SIZES[app.mixed(self.number) % len(SIZES)]
        path, self.expected = f"/{size}.txt", content(size)
        if self.number % 3 == 0:
            path, self.expected = "/echo", f"{self.name} {self.number}".encode()
        query = f"client={self.name}&number={self.number}"
        self.connection.send(f"GET {path}?{query} HTTP/1.1\r\nHost: crlab\r\n\r\n".encode())

    def take(self):
        words = self.connection.line().split(None, 2)
        length = None
        while header := self.connection.line():
            name, _, value = header.lower().partition(b":")
            if name == b"content-length":
                length = int(value)
            if name == b"connection" and b"close" in value:
                raise app.Wrong(f"{self.connection.name}: nginx wants to close it")
        if words[:2] != [b"HTTP/1.1", b"200"] or length is None:
            raise app.Wrong(f"{self.connection.name}: request {self.number} was answered with {words}")
        body = self.connection.exactly(length)
        if body != self.expected:
            raise app.Wrong(
                f"{self.connection.name}: request {self.number} was answered with {len(body)} bytes, "
                f"{body[:40]!r}, instead of {len(self.expected)}, {self.expected[:40]!r}")
        self.log.add(self.name, self.number)


def judge_log(name="acks.log"):
    """Every answer that a client took is in nginx's own log exactly once. The log is written after the answer."""
    answered = [" ".join(words) + " 200" for words in app.AckLog.read(name)]
    for _ in range(200):
        with open(f"{app.WORK}/access.log") as file:
            logged = {}
            for line in file.read().split("\n")[:-1]:
                logged[line] = logged.get(line, 0) + 1
        missing = [line for line in answered if line not in logged]
        if not missing:
            break
        app.pause(0.05)
    else:
        raise app.Wrong(f"request {missing[0]} was answered and is not in nginx's log")
    if twice := [line for line, times in logged.items() if times > 1]:
        raise app.Wrong(f"request {twice[0]} is in nginx's log {logged[twice[0]]} times")
