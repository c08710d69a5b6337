"""How the node server is started; it speaks HTTP."""

import app
import store


class Node(store.HTTP):
    def command(self, port):
        return ["/usr/bin/node", "--max-old-space-size=32", f"{app.FOLDER}/server.js", str(port)]


PROTOCOL = Node()
FIRST_PORT = 16700
