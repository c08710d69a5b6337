"""How the Java server is started; it speaks HTTP."""

import os

import app
import store


class Java(store.HTTP):
    codes = (143,)

    def command(self, port):
        # Compiled when the workloads are built; where no Java was then, it is compiled at start, which takes long.
        built = os.path.exists(f"{app.FOLDER}/Server.class")
        program = ["-cp", app.FOLDER, "Server"] if built else [f"{app.FOLDER}/Server.java"]
        return [
            "/usr/bin/java", "-Xms16m", "-Xmx32m", "-Xss512k", "-XX:ReservedCodeCacheSize=32m", "-XX:+UseG1GC",
            "-XX:ConcGCThreads=1", "-XX:ParallelGCThreads=2", "-XX:CICompilerCount=2",
            # Counters for other programs, in a file of /tmp that another host does not have.
            "-XX:-UsePerfData",
            # No connection ends because time has passed.
            "-Dsun.net.httpserver.idleInterval=1000000", *program, str(port),
        ]


PROTOCOL = Java()
FIRST_PORT = 16900
