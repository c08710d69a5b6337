// packet sockets: bound, with memberships, options, a group, and rings that are mapped
// needs: packet-sockets, root, loopback
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "workload.h"

static void set(int descriptor, int option, int value) {
    WORKLOAD_CALL(setsockopt(descriptor, SOL_PACKET, option, &value, sizeof value));
}

static int get(int descriptor, int option) {
    int value = -7;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(descriptor, SOL_PACKET, option, &value, &length));
    return value;
}

int main(void) {
    workload_begin();
    // A protocol that nobody speaks here, so that no packet comes by itself.
    int bound = WORKLOAD_CALL(socket(AF_PACKET, SOCK_DGRAM, 0)), ring = WORKLOAD_CALL(socket(AF_PACKET, SOCK_RAW, 0));
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = (int)if_nametoindex("lo")};
    struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_ALLMULTI};
    set(bound, PACKET_AUXDATA, 1);
    set(bound, PACKET_RESERVE, 32);
    WORKLOAD_CALL(setsockopt(bound, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all));
    WORKLOAD_CALL(bind(bound, (struct sockaddr *)&address, sizeof address));
    int group = (int)(0x1000 + (unsigned)getpid() % 0x7000);
    set(bound, PACKET_FANOUT, group);
    set(ring, PACKET_VERSION, TPACKET_V2);
    struct tpacket_req request = {.tp_block_size = 8192, .tp_block_nr = 2, .tp_frame_size = 2048, .tp_frame_nr = 8};
    WORKLOAD_CALL(setsockopt(ring, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    volatile struct tpacket2_hdr *frame = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    WORKLOAD_CHECK(frame != MAP_FAILED, "mmap: errno %d", errno);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) set(bound, PACKET_AUXDATA, 0);
        struct sockaddr_ll now = {0};
        socklen_t length = sizeof now;
        WORKLOAD_CALL(getsockname(bound, (struct sockaddr *)&now, &length));
        WORKLOAD_CHECK(
            now.sll_protocol == address.sll_protocol && now.sll_ifindex == address.sll_ifindex, "bound to %x, %d",
            now.sll_protocol, now.sll_ifindex);
        WORKLOAD_CHECK(get(bound, PACKET_AUXDATA) == 1 && get(bound, PACKET_RESERVE) == 32, "options");
        WORKLOAD_CHECK(get(bound, PACKET_FANOUT) == group && get(ring, PACKET_FANOUT) == 0, "the group");
        WORKLOAD_CHECK(get(ring, PACKET_VERSION) == TPACKET_V2, "the version");
        WORKLOAD_CALL(setsockopt(bound, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &all, sizeof all));
        WORKLOAD_CALL(setsockopt(bound, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all));
        WORKLOAD_CHECK(frame->tp_status == TP_STATUS_KERNEL, "the ring holds something");
        workload_progress();
        workload_pause(5);
    }
    // The ring is the one that the kernel fills.
    WORKLOAD_CALL(bind(ring, (struct sockaddr *)&address, sizeof address));
    struct sockaddr_ll to = address;
    to.sll_halen = 6;
    WORKLOAD_CALL(sendto(bound, "crlab ring", 10, 0, (struct sockaddr *)&to, sizeof to));
    for (int tries = 0; tries < 1000 && frame->tp_status == TP_STATUS_KERNEL; tries++) workload_pause(5);
    WORKLOAD_CHECK((frame->tp_status & TP_STATUS_USER) != 0, "no packet comes into the ring");
    WORKLOAD_CHECK(*((volatile char *)frame + frame->tp_net) == 'c', "another packet came into the ring");
    workload_verified();
}
