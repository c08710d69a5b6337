// connected UNIX sockets of two processes: accepted from sockets that are gone, ends that are closed, resets
// needs: unix-sockets
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unix-name.h"
#include "workload.h"

static int listening(int type, const struct name *name) {
    int descriptor = WORKLOAD_CALL(socket(AF_UNIX, type, 0));
    WORKLOAD_CALL(bind(descriptor, (const struct sockaddr *)&name->address, name->length));
    WORKLOAD_CALL(listen(descriptor, 8));
    return descriptor;
}

static int joined(int type, const struct name *name) {
    int descriptor = WORKLOAD_CALL(socket(AF_UNIX, type, 0));
    WORKLOAD_CALL(connect(descriptor, (const struct sockaddr *)&name->address, name->length));
    return descriptor;
}

static void check_names(int descriptor, const struct name *own, const struct name *other, const char *what) {
    struct name now[2];
    now[0].length = now[1].length = sizeof now->address;
    WORKLOAD_CALL(getsockname(descriptor, (struct sockaddr *)&now[0].address, &now[0].length));
    WORKLOAD_CALL(getpeername(descriptor, (struct sockaddr *)&now[1].address, &now[1].length));
    const struct name *wanted[2] = {own, other};
    for (int side = 0; side < 2; side++) {
        socklen_t length = wanted[side] ? wanted[side]->length : sizeof(sa_family_t);
        WORKLOAD_CHECK(now[side].length == length, "%s, %d: a name of %u bytes", what, side, now[side].length);
        for (socklen_t index = 0; wanted[side] && index < length; index++)
            WORKLOAD_CHECK(
                ((char *)&now[side].address)[index] == ((const char *)&wanted[side]->address)[index], "%s, %d", what,
                side);
    }
}

static pid_t peer_of(int descriptor) {
    struct ucred credentials = {0};
    socklen_t length = sizeof credentials;
    WORKLOAD_CALL(getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length));
    return credentials.pid;
}

/// Sends everything back in capitals.
__attribute__((noreturn)) static void echo(const struct name *stay, const struct name *leave, const struct name *packet) {
    int ends[3] = {joined(SOCK_STREAM, stay), joined(SOCK_STREAM, leave), joined(SOCK_SEQPACKET, packet)};
    for (;;) {
        for (int index = 0; index < 3; index++) {
            char byte;
            ssize_t answer = recv(ends[index], &byte, 1, MSG_DONTWAIT);
            if (answer == 0) _exit(0);
            if (answer < 0) continue;
            byte = (char)(byte - 'a' + 'A');
            WORKLOAD_CHECK(send(ends[index], &byte, 1, MSG_NOSIGNAL) == 1, "echo: errno %d", errno);
        }
        workload_pause(1);
    }
}

int main(void) {
    workload_begin();
    char text[64];
    snprintf(text, sizeof text, "@peers-%d", getpid());
    struct name stay = named("stay"), leave = named(text), packet = named("packet"), left = named("left");
    int listener = listening(SOCK_STREAM, &stay), gone = listening(SOCK_STREAM, &leave);
    int packets = listening(SOCK_SEQPACKET, &packet), path_gone = listening(SOCK_STREAM, &left);
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(&stay, &leave, &packet);
    }
    int ends[3] = {
        WORKLOAD_CALL(accept(listener, NULL, NULL)), WORKLOAD_CALL(accept(gone, NULL, NULL)),
        WORKLOAD_CALL(accept(packets, NULL, NULL))};
    const struct name *names[3] = {&stay, &leave, &packet};
    int own_client = joined(SOCK_STREAM, &left), own_server = WORKLOAD_CALL(accept(path_gone, NULL, NULL));
    close(gone);
    close(packets);
    close(path_gone);
    // An end that closed, and left something to read.
    int quiet = joined(SOCK_STREAM, &stay), closed = WORKLOAD_CALL(accept(listener, NULL, NULL));
    WORKLOAD_CALL(write(closed, "farewell", 8));
    close(closed);
    int reset[2];
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, reset));
    WORKLOAD_CALL(write(reset[0], "unread", 6));
    close(reset[1]);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(shutdown(ends[1], SHUT_WR));
        for (int index = 0; index < 3; index++) {
            char byte = (char)('a' + workload_progress_count % 26), wanted = (char)(byte - 'a' + 'A');
            WORKLOAD_CHECK(send(ends[index], &byte, 1, MSG_NOSIGNAL) == 1, "send: errno %d", errno);
            WORKLOAD_CHECK(recv(ends[index], &byte, 1, 0) == 1 && byte == wanted, "echo %d: %c", index, byte);
            check_names(ends[index], names[index], NULL, "accepted");
            WORKLOAD_CHECK(peer_of(ends[index]) == child, "the peer is %d", peer_of(ends[index]));
        }
        check_names(own_server, &left, NULL, "own server");
        check_names(own_client, NULL, &left, "own client");
        WORKLOAD_CHECK(access("left", F_OK) == 0, "the name of a closed socket is gone");
        check_names(quiet, NULL, &stay, "quiet");
        WORKLOAD_CHECK(recv(quiet, text, 64, MSG_PEEK) == 8, "farewell: errno %d", errno);
        WORKLOAD_CHECK(send(quiet, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "a closed end: errno %d", errno);
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CHECK(recv(quiet, text, 64, 0) == 8 && recv(quiet, text, 64, 0) == 0, "no end: errno %d", errno);
    WORKLOAD_CHECK(recv(reset[0], text, 1, 0) < 0 && errno == ECONNRESET, "no reset: errno %d", errno);
    WORKLOAD_CHECK(recv(reset[0], text, 1, 0) == 0, "no end after the reset: errno %d", errno);
    workload_verified();
}
