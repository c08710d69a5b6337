// a TCP connection within the tree: bytes on their way both ways, options, and the listening socket beside it
// needs: tcp, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "workload.h"

enum { waiting = 100000 };

static void put(int descriptor, uint64_t *stream, size_t count) {
    while (count--) {
        unsigned char byte = (unsigned char)workload_mix((*stream)++);
        WORKLOAD_CHECK(send(descriptor, &byte, 1, 0) == 1, "send: errno %d", errno);
    }
}

static void take(int descriptor, uint64_t *stream, size_t count) {
    while (count--) {
        unsigned char byte, wanted = (unsigned char)workload_mix((*stream)++);
        ssize_t got = recv(descriptor, &byte, 1, MSG_WAITALL);
        WORKLOAD_CHECK(got == 1, "recv: %zd, errno %d", got, errno);
        WORKLOAD_CHECK(byte == wanted, "byte %u instead of %u", byte, wanted);
    }
}

static int option(int descriptor, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(descriptor, level, name, &value, &length));
    return value;
}

static void set(int descriptor, int level, int name, int value) {
    WORKLOAD_CALL(setsockopt(descriptor, level, name, &value, sizeof value));
}

int main(void) {
    workload_begin();
    int listener = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    WORKLOAD_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(listener, 7));
    socklen_t length = sizeof address;
    WORKLOAD_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    int client = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(client, (struct sockaddr *)&address, sizeof address));
    int server = WORKLOAD_CALL(accept(listener, NULL, NULL));
    set(client, IPPROTO_TCP, TCP_NODELAY, 1);
    set(server, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(server, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set(server, IPPROTO_TCP, TCP_USER_TIMEOUT, 123456);
    set(client, IPPROTO_IP, IP_TOS, 0x10);

    uint64_t up_in = workload_seed_value, up_out = up_in, down_in = ~up_in, down_out = down_in;
    // Some of it waits at each end all the time.
    put(client, &up_in, waiting);
    put(server, &down_in, 5000);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CHECK(send(client, "x", 1, 0) == 1, "send: errno %d", errno);
        put(client, &up_in, 500);
        put(server, &down_in, 100);
        take(server, &up_out, 500);
        take(client, &down_out, 100);
        WORKLOAD_CHECK(option(client, IPPROTO_TCP, TCP_NODELAY) == 1, "TCP_NODELAY is gone");
        WORKLOAD_CHECK(option(server, SOL_SOCKET, SO_KEEPALIVE) == 1, "SO_KEEPALIVE is gone");
        WORKLOAD_CHECK(option(server, IPPROTO_TCP, TCP_KEEPIDLE) == 77, "TCP_KEEPIDLE is another");
        WORKLOAD_CHECK(option(server, IPPROTO_TCP, TCP_USER_TIMEOUT) == 123456, "TCP_USER_TIMEOUT is another");
        WORKLOAD_CHECK(option(client, IPPROTO_IP, IP_TOS) == 0x10, "IP_TOS is another");
        WORKLOAD_CHECK(option(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1, "the listening socket does not listen");
        workload_progress();
        workload_pause(5);
    }
    take(server, &up_out, waiting);
    take(client, &down_out, 5000);
    // The same port takes new connections.
    int second = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(second, (struct sockaddr *)&address, sizeof address));
    int accepted = WORKLOAD_CALL(accept(listener, NULL, NULL));
    put(second, &up_in, 10);
    take(accepted, &up_out, 10);
    // And the old one ends as it should.
    WORKLOAD_CALL(shutdown(client, SHUT_WR));
    char rest;
    WORKLOAD_CHECK(recv(server, &rest, 1, 0) == 0, "more bytes than were sent");
    workload_verified();
}
