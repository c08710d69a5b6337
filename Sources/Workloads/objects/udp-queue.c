// UDP sockets: datagrams that wait with their senders, connected and shut down sockets, options
// needs: udp, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "workload.h"

static int bound(int family, struct sockaddr_storage *name) {
    int descriptor = WORKLOAD_CALL(socket(family, SOCK_DGRAM, 0));
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (family == AF_INET) WORKLOAD_CALL(bind(descriptor, (struct sockaddr *)&four, sizeof four));
    else WORKLOAD_CALL(bind(descriptor, (struct sockaddr *)&six, sizeof six));
    socklen_t length = sizeof *name;
    WORKLOAD_CALL(getsockname(descriptor, (struct sockaddr *)name, &length));
    return descriptor;
}

static socklen_t width(int family) { return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6); }

static in_port_t port(struct sockaddr_storage *name) {
    return name->ss_family == AF_INET ? ((struct sockaddr_in *)name)->sin_port : ((struct sockaddr_in6 *)name)->sin6_port;
}

struct queue {
    int family, receiver, sender;
    struct sockaddr_storage to, from;
    unsigned in, out;
};

static void put(struct queue *queue) {
    unsigned char bytes[600] = {0};
    size_t count = 4 + queue->in % 500;
    bytes[0] = (unsigned char)queue->in;
    bytes[count - 1] = (unsigned char)(queue->in >> 8 ^ 0x5a);
    ssize_t done = sendto(queue->sender, bytes, count, 0, (struct sockaddr *)&queue->to, width(queue->family));
    WORKLOAD_CHECK(done == (ssize_t)count, "sendto: errno %d", errno);
    queue->in++;
}

static void take(struct queue *queue) {
    unsigned char bytes[600];
    size_t count = 4 + queue->out % 500;
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(queue->receiver, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    WORKLOAD_CHECK(got == (ssize_t)count, "datagram %u: %zd bytes, errno %d", queue->out, got, errno);
    WORKLOAD_CHECK(bytes[0] == (unsigned char)queue->out, "datagram %u is another", queue->out);
    WORKLOAD_CHECK(bytes[count - 1] == (unsigned char)(queue->out >> 8 ^ 0x5a), "datagram %u is damaged", queue->out);
    WORKLOAD_CHECK(port(&from) == port(&queue->from), "datagram %u has another sender", queue->out);
    queue->out++;
}

int main(void) {
    workload_begin();
    struct queue queues[2] = {{.family = AF_INET}, {.family = AF_INET6}};
    for (int index = 0; index < 2; index++) {
        queues[index].receiver = bound(queues[index].family, &queues[index].to);
        queues[index].sender = bound(queues[index].family, &queues[index].from);
        for (int count = 0; count < 20; count++) put(&queues[index]);
    }
    struct sockaddr_storage one, two;
    int left = bound(AF_INET, &one), right = bound(AF_INET, &two);
    WORKLOAD_CALL(connect(left, (struct sockaddr *)&two, sizeof(struct sockaddr_in)));
    WORKLOAD_CALL(connect(right, (struct sockaddr *)&one, sizeof(struct sockaddr_in)));
    WORKLOAD_CALL(shutdown(right, SHUT_WR));
    int yes = 1, segment = 1200;
    WORKLOAD_CALL(setsockopt(left, SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes));
    WORKLOAD_CALL(setsockopt(left, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment));
    WORKLOAD_CALL(setsockopt(queues[1].receiver, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof yes));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) put(&(struct queue){AF_INET, 0, right, queues[0].to, queues[0].from, 0, 0});
        for (int index = 0; index < 2; index++) {
            take(&queues[index]);
            put(&queues[index]);
        }
        char byte = 0;
        WORKLOAD_CHECK(send(left, "d", 1, 0) == 1 && recv(right, &byte, 1, 0) == 1 && byte == 'd', "errno %d", errno);
        WORKLOAD_CHECK(send(right, "d", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "a socket shut down sends");
        int value = 0;
        socklen_t length = sizeof value;
        WORKLOAD_CALL(getsockopt(left, IPPROTO_UDP, UDP_SEGMENT, &value, &length));
        WORKLOAD_CHECK(value == segment, "UDP_SEGMENT is %d", value);
        WORKLOAD_CALL(getsockopt(queues[1].receiver, IPPROTO_IPV6, IPV6_RECVPKTINFO, &value, &length));
        WORKLOAD_CHECK(value == 1, "IPV6_RECVPKTINFO is gone");
        workload_progress();
        workload_pause(5);
    }
    for (int index = 0; index < 2; index++)
        while (queues[index].out < queues[index].in) take(&queues[index]);
    workload_verified();
}
