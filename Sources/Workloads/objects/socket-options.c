// options of UNIX sockets: buffers, timeouts, linger, filters, offsets for looking, owner and mode
// needs: unix-sockets
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "workload.h"

static void set(int descriptor, int option, int value) {
    WORKLOAD_CALL(setsockopt(descriptor, SOL_SOCKET, option, &value, sizeof value));
}

static void check(int descriptor, int option, int wanted) {
    int value = -7;
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(descriptor, SOL_SOCKET, option, &value, &length));
    WORKLOAD_CHECK(value == wanted, "option %d is %d instead of %d", option, value, wanted);
}

int main(void) {
    workload_begin();
    int pair[2], other[2], untouched, value;
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, other));
    untouched = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    socklen_t length = sizeof value;
    WORKLOAD_CALL(getsockopt(untouched, SOL_SOCKET, SO_SNDBUF, &value, &length));
    static const int numbers[][3] = {
        {SO_SNDBUF, 30000, 60000}, {SO_RCVBUF, 40000, 80000}, {SO_PASSCRED, 1, 1}, {SO_PRIORITY, 5, 5},
        {SO_KEEPALIVE, 1, 1}, {SO_OOBINLINE, 1, 1}, {SO_BROADCAST, 1, 1}, {SO_DONTROUTE, 1, 1}, {SO_REUSEADDR, 1, 1},
        {SO_TIMESTAMPNS, 1, 1}, {SO_PASSSEC, 1, 1}};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
        set(pair[0], numbers[index][0], numbers[index][1]);
    set(other[0], SO_RCVLOWAT, 3);
    struct timeval wait = {.tv_sec = 5, .tv_usec = 500000}, never = {.tv_sec = 0, .tv_usec = 40000}, now;
    WORKLOAD_CALL(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait));
    WORKLOAD_CALL(setsockopt(other[1], SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never));
    struct linger linger = {.l_onoff = 1, .l_linger = 17}, linger_now;
    WORKLOAD_CALL(setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    // Only messages whose first byte is 'y', cut to three bytes.
    struct sock_filter code[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 'y'}, {BPF_RET | BPF_K, 0, 0, 3},
        {BPF_RET | BPF_K, 0, 0, 0}};
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    WORKLOAD_CALL(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    set(pair[1], SO_LOCK_FILTER, 1);
    set(other[0], SO_PEEK_OFF, 4);
    WORKLOAD_CALL(write(other[1], "0123456789", 10));
    WORKLOAD_CALL(fchmod(other[0], 0640));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) set(pair[0], SO_PRIORITY, 2);
        for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++)
            check(pair[0], numbers[index][0], numbers[index][2]);
        check(other[0], SO_RCVLOWAT, 3);
        check(other[0], SO_PEEK_OFF, 4);
        check(untouched, SO_SNDBUF, value);
        length = sizeof now;
        WORKLOAD_CALL(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &now, &length));
        WORKLOAD_CHECK(now.tv_sec == 5 && now.tv_usec == 500000, "SO_RCVTIMEO %ld %ld", now.tv_sec, now.tv_usec);
        length = sizeof linger_now;
        WORKLOAD_CALL(getsockopt(pair[1], SOL_SOCKET, SO_LINGER, &linger_now, &length));
        WORKLOAD_CHECK(linger_now.l_onoff == 1 && linger_now.l_linger == 17, "SO_LINGER %d", linger_now.l_linger);
        struct sock_filter found[8] = {0};
        length = 8;
        WORKLOAD_CALL(getsockopt(pair[1], SOL_SOCKET, SO_GET_FILTER, found, &length));
        WORKLOAD_CHECK(length == 4 && found[1].k == 'y', "the filter has %u instructions", length);
        check(pair[1], SO_LOCK_FILTER, 1);
        char text[16];
        WORKLOAD_CALL(send(pair[0], "no", 2, 0));
        WORKLOAD_CALL(send(pair[0], "yes, sir", 8, 0));
        WORKLOAD_CHECK(recv(pair[1], text, 16, MSG_DONTWAIT) == 3 && text[2] == 's', "filtered: errno %d", errno);
        WORKLOAD_CHECK(recv(pair[1], text, 16, MSG_DONTWAIT) < 0, "the filter let a message through");
        WORKLOAD_CHECK(recv(other[0], text, 3, MSG_PEEK) == 3 && text[0] == '4', "looking from %c", text[0]);
        set(other[0], SO_PEEK_OFF, 4);
        WORKLOAD_CHECK(recv(other[1], text, 1, 0) < 0 && errno == EAGAIN, "SO_RCVTIMEO: errno %d", errno);
        struct stat status;
        WORKLOAD_CALL(fstat(other[0], &status));
        WORKLOAD_CHECK(status.st_mode == (S_IFSOCK | 0640), "mode %o", status.st_mode);
        workload_progress();
    }
    workload_verified();
}
