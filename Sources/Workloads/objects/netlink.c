// netlink sockets: bound, in groups, connected, with options
// needs: netlink
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "workload.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

static void set(int descriptor, int option, int value) {
    WORKLOAD_CALL(setsockopt(descriptor, SOL_NETLINK, option, &value, sizeof value));
}

static int get(int descriptor, int option) {
    int value = -7;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(descriptor, SOL_NETLINK, option, &value, &length));
    return value;
}

int main(void) {
    workload_begin();
    int route = WORKLOAD_CALL(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    int user = WORKLOAD_CALL(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK));
    int sender = WORKLOAD_CALL(socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK));
    int unbound = WORKLOAD_CALL(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    uint32_t port = 0x40000000 + (uint32_t)getpid();
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = port}, peer = {.nl_family = AF_NETLINK};
    WORKLOAD_CALL(bind(user, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(connect(sender, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(bind(route, (struct sockaddr *)&peer, sizeof peer));
    socklen_t length = sizeof peer;
    WORKLOAD_CALL(getsockname(route, (struct sockaddr *)&peer, &length));
    uint32_t given = peer.nl_pid;
    // Nothing happens there by itself.
    set(route, NETLINK_ADD_MEMBERSHIP, RTNLGRP_DCB);
    set(route, NETLINK_EXT_ACK, 1);
    set(route, NETLINK_PKTINFO, 1);
    set(user, NETLINK_NO_ENOBUFS, 1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) set(route, NETLINK_DROP_MEMBERSHIP, RTNLGRP_DCB);
        length = sizeof peer;
        WORKLOAD_CALL(getsockname(route, (struct sockaddr *)&peer, &length));
        WORKLOAD_CHECK(peer.nl_pid == given, "port %u instead of %u", peer.nl_pid, given);
        uint32_t groups[8] = {0};
        length = sizeof groups;
        WORKLOAD_CALL(getsockopt(route, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &length));
        WORKLOAD_CHECK(groups[0] == 1u << (RTNLGRP_DCB - 1), "groups %x", groups[0]);
        WORKLOAD_CHECK(get(route, NETLINK_EXT_ACK) == 1 && get(route, NETLINK_PKTINFO) == 1, "options of one");
        WORKLOAD_CHECK(get(user, NETLINK_NO_ENOBUFS) == 1 && get(user, NETLINK_PKTINFO) == 0, "options of another");
        length = sizeof peer;
        WORKLOAD_CALL(getpeername(sender, (struct sockaddr *)&peer, &length));
        WORKLOAD_CHECK(peer.nl_pid == port, "the peer is %u", peer.nl_pid);
        length = sizeof peer;
        WORKLOAD_CALL(getsockname(unbound, (struct sockaddr *)&peer, &length));
        WORKLOAD_CHECK(peer.nl_pid == 0, "it has become bound: %u", peer.nl_pid);
        // One message there, and a question to the kernel.
        struct nlmsghdr note = {.nlmsg_len = sizeof note, .nlmsg_type = NLMSG_MIN_TYPE, .nlmsg_seq = 5}, got;
        WORKLOAD_CHECK(send(sender, &note, sizeof note, 0) == sizeof note, "send: errno %d", errno);
        WORKLOAD_CHECK(recv(user, &got, sizeof got, 0) == sizeof got && got.nlmsg_seq == 5, "recv: errno %d", errno);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
