// timerfds: disarmed with an interval, expired and unread, waiting for a time of day, repeating
// needs: timers
#include <poll.h>
#include <sys/timerfd.h>

#include "workload.h"

static int create(int clock, int flags, time_t value, time_t interval) {
    int descriptor = WORKLOAD_CALL(timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK));
    struct itimerspec setting = {{interval, 0}, {value, 0}};
    WORKLOAD_CALL(timerfd_settime(descriptor, flags, &setting, NULL));
    return descriptor;
}

int main(void) {
    workload_begin();
    struct timespec now;
    WORKLOAD_CALL(clock_gettime(CLOCK_REALTIME, &now));
    const time_t day = 86400;
    time_t wall = now.tv_sec + day;
    int disarmed = create(CLOCK_MONOTONIC, 0, 0, 77);
    int absolute = create(CLOCK_REALTIME, TFD_TIMER_ABSTIME, wall, 0);
    int expired = WORKLOAD_CALL(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    struct itimerspec soon = {{0, 0}, {0, 1}}, fast = {{0, 1000000}, {0, 1000000}}, left;
    WORKLOAD_CALL(timerfd_settime(expired, 0, &soon, NULL));
    int repeating = WORKLOAD_CALL(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    WORKLOAD_CALL(timerfd_settime(repeating, 0, &fast, NULL));
    workload_pause(5);
    workload_ready();
    uint64_t count;
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(timerfd_settime(disarmed, 0, &fast, NULL));
        WORKLOAD_CALL(timerfd_gettime(disarmed, &left));
        WORKLOAD_CHECK(
            left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0 && left.it_interval.tv_sec == 77,
            "the disarmed one has %ld s left, interval %ld s", left.it_value.tv_sec, left.it_interval.tv_sec);
        WORKLOAD_CALL(timerfd_gettime(absolute, &left));
        WORKLOAD_CALL(clock_gettime(CLOCK_REALTIME, &now));
        long off = (long)(now.tv_sec + left.it_value.tv_sec - wall);
        WORKLOAD_CHECK(off >= -2 && off <= 2, "the absolute one is off by %ld s", off);
        WORKLOAD_CALL(timerfd_gettime(expired, &left));
        WORKLOAD_CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0, "the expired one runs");
        workload_pause(5);
        // It may be due on another CPU that does not get to run for a while.
        struct pollfd due = {.fd = repeating, .events = POLLIN};
        while (poll(&due, 1, 2000) < 0 && errno == EINTR) {}
        WORKLOAD_CHECK(read(repeating, &count, sizeof count) == sizeof count, "the repeating one: errno %d", errno);
        workload_progress();
    }
    WORKLOAD_CHECK(read(expired, &count, sizeof count) == sizeof count && count == 1, "the expired one lost its tick");
    workload_verified();
}
