// IPv6 TCP connections: one of ::1, one that is IPv4 within, and a port that takes IPv6 only
// needs: tcp, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "workload.h"

struct pair {
    int listener, client, server;
    struct sockaddr_in6 name;
};

static struct pair connected(const char *host, bool only) {
    struct pair pair;
    int value = only;
    pair.listener = WORKLOAD_CALL(socket(AF_INET6, SOCK_STREAM, 0));
    WORKLOAD_CALL(setsockopt(pair.listener, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof value));
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    WORKLOAD_CALL(bind(pair.listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(pair.listener, 1));
    socklen_t length = sizeof address;
    WORKLOAD_CALL(getsockname(pair.listener, (struct sockaddr *)&address, &length));
    WORKLOAD_CALL(inet_pton(AF_INET6, host, &address.sin6_addr));
    pair.client = WORKLOAD_CALL(socket(AF_INET6, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(pair.client, (struct sockaddr *)&address, sizeof address));
    pair.server = WORKLOAD_CALL(accept(pair.listener, NULL, NULL));
    length = sizeof pair.name;
    WORKLOAD_CALL(getsockname(pair.client, (struct sockaddr *)&pair.name, &length));
    return pair;
}

static void check(struct pair *pair, int step) {
    int value = -1;
    WORKLOAD_CHECK(send(pair->client, &step, sizeof step, MSG_NOSIGNAL) == sizeof step, "send: errno %d", errno);
    WORKLOAD_CHECK(recv(pair->server, &value, sizeof value, MSG_WAITALL) == sizeof value, "recv: errno %d", errno);
    WORKLOAD_CHECK(value == step, "%d instead of %d", value, step);
    struct sockaddr_in6 name;
    socklen_t length = sizeof name;
    WORKLOAD_CALL(getpeername(pair->server, (struct sockaddr *)&name, &length));
    WORKLOAD_CHECK(name.sin6_port == pair->name.sin6_port, "the peer has another port");
    for (int index = 0; index < 16; index++)
        WORKLOAD_CHECK(name.sin6_addr.s6_addr[index] == pair->name.sin6_addr.s6_addr[index], "another address");
}

int main(void) {
    workload_begin();
    struct pair six = connected("::1", true), four = connected("::ffff:127.0.0.1", false);
    workload_ready();
    for (int step = 0; !workload_verify_requested(); step++) {
        if (workload_break_now()) WORKLOAD_CALL(shutdown(four.client, SHUT_WR));
        check(&six, step);
        check(&four, step);
        workload_progress();
        workload_pause(5);
    }
    int value = 0;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(six.listener, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length));
    WORKLOAD_CHECK(value == 1, "IPV6_V6ONLY is gone");
    workload_verified();
}
