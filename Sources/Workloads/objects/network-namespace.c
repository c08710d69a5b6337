// A network namespace: the loopback up with an address of its own, a setting, a route
// needs: namespaces root
#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "workload.h"

static int control;

static struct ifreq request(unsigned long what, const char *name, const char *address, short flags) {
    struct ifreq request = {0};
    for (size_t at = 0; name[at]; at++) request.ifr_name[at] = name[at];
    struct sockaddr_in *place = (struct sockaddr_in *)&request.ifr_addr;
    if (address) place->sin_family = AF_INET, inet_pton(AF_INET, address, &place->sin_addr);
    if (what == SIOCSIFFLAGS) request.ifr_flags = flags;
    if (what == SIOCSIFMTU) request.ifr_mtu = flags;
    WORKLOAD_CHECK(ioctl(control, what, &request) == 0, "request %lx of %s: errno %d", what, name, errno);
    return request;
}

static int setting(const char *path, const char *value) {
    char text[16] = {0};
    int file = WORKLOAD_CALL(open(path, (value ? O_WRONLY : O_RDONLY) | O_CLOEXEC));
    if (value) {
        WORKLOAD_CALL(write(file, value, 1));
    } else {
        WORKLOAD_CALL(read(file, text, sizeof text - 1));
    }
    close(file);
    return text[0];
}

int main(void) {
    static const char forwarding[] = "/proc/sys/net/ipv4/ip_forward";
    workload_begin();
    WORKLOAD_CALL(unshare(CLONE_NEWNET));
    control = WORKLOAD_CALL(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    request(SIOCSIFFLAGS, "lo", NULL, IFF_UP);
    request(SIOCSIFADDR, "lo:1", "10.11.12.13", 0);
    request(SIOCSIFMTU, "lo", NULL, 4321);
    setting(forwarding, "1");
    struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = (char[]){"lo"}};
    ((struct sockaddr_in *)&route.rt_dst)->sin_family = AF_INET;
    inet_pton(AF_INET, "10.99.0.0", &((struct sockaddr_in *)&route.rt_dst)->sin_addr);
    ((struct sockaddr_in *)&route.rt_genmask)->sin_family = AF_INET;
    inet_pton(AF_INET, "255.255.0.0", &((struct sockaddr_in *)&route.rt_genmask)->sin_addr);
    WORKLOAD_CALL(ioctl(control, SIOCADDRT, &route));
    close(control);
    workload_ready();
    while (!workload_verify_requested()) {
        control = WORKLOAD_CALL(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (workload_break_now()) request(SIOCSIFMTU, "lo", NULL, 1234);
        struct ifreq answer = request(SIOCGIFFLAGS, "lo", NULL, 0);
        WORKLOAD_CHECK(answer.ifr_flags & IFF_UP, "the loopback is down");
        WORKLOAD_CHECK(request(SIOCGIFMTU, "lo", NULL, 0).ifr_mtu == 4321, "MTU");
        answer = request(SIOCGIFADDR, "lo:1", NULL, 0);
        char text[64];
        inet_ntop(AF_INET, &((struct sockaddr_in *)&answer.ifr_addr)->sin_addr, text, sizeof text);
        WORKLOAD_CHECK(text[0] == '1' && text[3] == '1' && text[4] == '1', "address %s", text);
        WORKLOAD_CHECK(setting(forwarding, NULL) == '1', "forwarding");
        // Only the route leads there.
        struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
        inet_pton(AF_INET, "10.99.1.2", &there.sin_addr);
        WORKLOAD_CHECK(connect(control, (struct sockaddr *)&there, sizeof there) == 0, "route: errno %d", errno);
        close(control);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
