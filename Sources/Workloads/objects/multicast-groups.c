// multicast groups that a UDP socket has joined, and one that it has left
// needs: udp, loopback
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "workload.h"

static int change(int descriptor, int name, const char *group) {
    struct ip_mreqn request = {.imr_ifindex = (int)if_nametoindex("lo")};
    WORKLOAD_CALL(inet_pton(AF_INET, group, &request.imr_multiaddr));
    return setsockopt(descriptor, IPPROTO_IP, name, &request, sizeof request);
}

/// Joining again is refused for a group that is joined.
static bool joined(int descriptor, const char *group) {
    if (change(descriptor, IP_ADD_MEMBERSHIP, group) < 0 && errno == EADDRINUSE) return true;
    WORKLOAD_CALL(change(descriptor, IP_DROP_MEMBERSHIP, group));
    return false;
}

int main(void) {
    workload_begin();
    int first = WORKLOAD_CALL(socket(AF_INET, SOCK_DGRAM, 0)), second = WORKLOAD_CALL(socket(AF_INET, SOCK_DGRAM, 0));
    WORKLOAD_CALL(change(first, IP_ADD_MEMBERSHIP, "239.1.2.3"));
    WORKLOAD_CALL(change(first, IP_ADD_MEMBERSHIP, "239.1.2.4"));
    WORKLOAD_CALL(change(second, IP_ADD_MEMBERSHIP, "239.1.2.4"));
    WORKLOAD_CALL(change(first, IP_DROP_MEMBERSHIP, "239.1.2.4"));
    int hops = 9, off = 0;
    WORKLOAD_CALL(setsockopt(first, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops));
    WORKLOAD_CALL(setsockopt(first, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(change(first, IP_DROP_MEMBERSHIP, "239.1.2.3"));
        WORKLOAD_CHECK(joined(first, "239.1.2.3"), "the first has lost its group");
        WORKLOAD_CHECK(!joined(first, "239.1.2.4"), "the first is in a group that it had left");
        WORKLOAD_CHECK(joined(second, "239.1.2.4"), "the second has lost its group");
        int value = 0;
        socklen_t length = sizeof value;
        WORKLOAD_CALL(getsockopt(first, IPPROTO_IP, IP_MULTICAST_TTL, &value, &length));
        WORKLOAD_CHECK(value == hops, "IP_MULTICAST_TTL is %d", value);
        WORKLOAD_CALL(getsockopt(first, IPPROTO_IP, IP_MULTICAST_LOOP, &value, &length));
        WORKLOAD_CHECK(value == 0, "IP_MULTICAST_LOOP is %d", value);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
