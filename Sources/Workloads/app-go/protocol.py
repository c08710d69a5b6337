"""How the Go server is started; it speaks HTTP."""

import os

import app
import store


class Go(store.HTTP):
    def command(self, port):
        program = f"{app.FOLDER}/server"
        if not os.path.exists(program):
            raise app.Wrong("the machine that built the workloads has no Go compiler (Debian: golang-go)")
        return [program, str(port)]


PROTOCOL = Go()
FIRST_PORT = 16800
