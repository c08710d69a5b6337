// listening TCP sockets: two that share a port, backlog, options that accepted connections inherit
// needs: tcp-listen, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "workload.h"

static void expect(int descriptor, int level, int name, int wanted) {
    int value = -1;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(descriptor, level, name, &value, &length));
    WORKLOAD_CHECK(value == wanted, "option %d of level %d is %d instead of %d", name, level, value, wanted);
}

static void set(int descriptor, int level, int name, int value) {
    WORKLOAD_CALL(setsockopt(descriptor, level, name, &value, sizeof value));
}

int main(void) {
    workload_begin();
    int shared[2], alone;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    for (int index = 0; index < 2; index++) {
        shared[index] = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        set(shared[index], SOL_SOCKET, SO_REUSEPORT, 1);
        WORKLOAD_CALL(bind(shared[index], (struct sockaddr *)&address, sizeof address));
        WORKLOAD_CALL(listen(shared[index], 11 + index));
        WORKLOAD_CALL(getsockname(shared[index], (struct sockaddr *)&address, &length));
    }
    alone = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    set(alone, IPPROTO_TCP, TCP_NODELAY, 1);
    set(alone, IPPROTO_TCP, TCP_DEFER_ACCEPT, 7);
    set(alone, IPPROTO_IP, IP_FREEBIND, 1);
    struct sockaddr_in elsewhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401)};
    WORKLOAD_CALL(bind(alone, (struct sockaddr *)&elsewhere, sizeof elsewhere));
    WORKLOAD_CALL(listen(alone, 3));
    set(alone, IPPROTO_IP, IP_FREEBIND, 0);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) set(shared[0], SOL_SOCKET, SO_REUSEPORT, 0);
        for (int index = 0; index < 2; index++) {
            struct tcp_info info;
            socklen_t bytes = sizeof info;
            expect(shared[index], SOL_SOCKET, SO_ACCEPTCONN, 1);
            expect(shared[index], SOL_SOCKET, SO_REUSEPORT, 1);
            expect(shared[index], SOL_SOCKET, SO_REUSEADDR, 0);
            WORKLOAD_CALL(getsockopt(shared[index], IPPROTO_TCP, TCP_INFO, &info, &bytes));
            WORKLOAD_CHECK(info.tcpi_sacked == (unsigned)(11 + index), "backlog %u", info.tcpi_sacked);
            WORKLOAD_CHECK(accept(shared[index], NULL, NULL) < 0 && errno == EAGAIN, "somebody waits: %d", errno);
        }
        expect(alone, IPPROTO_IP, IP_FREEBIND, 0);
        expect(alone, IPPROTO_TCP, TCP_NODELAY, 1);
        expect(alone, IPPROTO_TCP, TCP_DEFER_ACCEPT, 7);
        struct sockaddr_in name;
        length = sizeof name;
        WORKLOAD_CALL(getsockname(alone, (struct sockaddr *)&name, &length));
        WORKLOAD_CHECK(ntohl(name.sin_addr.s_addr) == 0xc6336401, "another address");
        workload_progress();
        workload_pause(5);
    }
    int client = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(client, (struct sockaddr *)&address, sizeof address));
    // On a busy kernel the last segment of the three may still be on its way.
    struct pollfd waiting[2] = {{shared[0], POLLIN, 0}, {shared[1], POLLIN, 0}};
    WORKLOAD_CALL(poll(waiting, 2, 5000));
    int first = accept(shared[0], NULL, NULL), second = accept(shared[1], NULL, NULL);
    WORKLOAD_CHECK((first < 0) != (second < 0), "%d and %d accepted", first, second);
    workload_verified();
}
