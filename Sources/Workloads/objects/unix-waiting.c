// a UNIX socket that listens while connections of two processes wait, with names, shutdown and credentials
// needs: unix-sockets
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "workload.h"

static int joined(const struct sockaddr_un *server, const char *name) {
    int descriptor = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    if (name) {
        struct sockaddr_un own = {.sun_family = AF_UNIX};
        workload_append(own.sun_path, 0, sizeof own.sun_path, name);
        unlink(name);
        WORKLOAD_CALL(bind(descriptor, (struct sockaddr *)&own, sizeof own));
    }
    WORKLOAD_CALL(connect(descriptor, (struct sockaddr *)server, sizeof *server));
    return descriptor;
}

int main(void) {
    workload_begin();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "server"};
    int listener = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    WORKLOAD_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(listener, 1));
    int tell[2], hear[2];
    WORKLOAD_CALL(pipe(tell));
    WORKLOAD_CALL(pipe(hear));
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char byte;
        for (int mine = -1; read(tell[0], &byte, 1) == 1;) {
            if (byte == 'c') mine = joined(&address, "client");
            if (byte == 'w') WORKLOAD_CALL(write(mine, "child", 5));
            if (byte == 'd') close(mine);
            WORKLOAD_CALL(write(hear[1], "x", 1));
        }
        _exit(0);
    }
    char byte, text[8];
    for (bool ready = false; !workload_verify_requested();) {
        // Two fit: one more than the backlog says.
        int mine = joined(&address, NULL);
        WORKLOAD_CALL(shutdown(mine, SHUT_WR));
        WORKLOAD_CALL(write(tell[1], "c", 1));
        WORKLOAD_CALL(read(hear[0], &byte, 1));
        if (!ready) workload_ready();
        ready = true;
        workload_pause(20);
        if (workload_break_now()) WORKLOAD_CALL(close(WORKLOAD_CALL(accept(listener, NULL, NULL))));
        int more = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        WORKLOAD_CHECK(
            connect(more, (struct sockaddr *)&address, sizeof address) < 0 && errno == EAGAIN,
            "a third connection: errno %d", errno);
        close(more);
        int first = WORKLOAD_CALL(accept(listener, NULL, NULL));
        struct sockaddr_un from = {0};
        socklen_t length = sizeof from;
        WORKLOAD_CALL(fcntl(listener, F_SETFL, O_NONBLOCK));
        int second = WORKLOAD_CALL(accept(listener, (struct sockaddr *)&from, &length));
        WORKLOAD_CALL(fcntl(listener, F_SETFL, 0));
        WORKLOAD_CHECK(from.sun_path[0] == 'c' && from.sun_path[5] == 't', "the second is '%.20s'", from.sun_path);
        WORKLOAD_CHECK(read(first, text, 1) == 0, "the first can still be written to");
        WORKLOAD_CHECK(write(first, "first", 5) == 5 && read(mine, text, 8) == 5, "the first: errno %d", errno);
        WORKLOAD_CALL(write(tell[1], "w", 1));
        WORKLOAD_CHECK(read(second, text, 8) == 5 && text[0] == 'c', "the second: errno %d", errno);
        WORKLOAD_CALL(read(hear[0], &byte, 1));
        struct ucred peer[2] = {{0}, {0}}, other = {0};
        length = sizeof *peer;
        WORKLOAD_CALL(getsockopt(first, SOL_SOCKET, SO_PEERCRED, &peer[0], &length));
        WORKLOAD_CALL(getsockopt(second, SOL_SOCKET, SO_PEERCRED, &peer[1], &length));
        WORKLOAD_CALL(getsockopt(mine, SOL_SOCKET, SO_PEERCRED, &other, &length));
        WORKLOAD_CHECK(
            peer[0].pid == getpid() && peer[1].pid == child && other.pid == getpid(), "peers %d %d %d", peer[0].pid,
            peer[1].pid, other.pid);
        WORKLOAD_CALL(write(tell[1], "d", 1));
        WORKLOAD_CALL(read(hear[0], &byte, 1));
        WORKLOAD_CHECK(read(second, text, 1) == 0, "the second does not end");
        close(first);
        close(second);
        close(mine);
        workload_progress();
    }
    workload_verified();
}
