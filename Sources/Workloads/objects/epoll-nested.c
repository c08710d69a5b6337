// an epoll instance in another one, a file under two numbers, one whose number is gone, one that has fired once
// needs: epoll
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "workload.h"

static void add(int epoll, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    WORKLOAD_CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

/// The sum of the data of all that is ready.
static uint64_t ready(int epoll) {
    struct epoll_event events[8];
    int count = WORKLOAD_CALL(epoll_wait(epoll, events, 8, 0));
    uint64_t sum = 0;
    for (int index = 0; index < count; index++) sum += events[index].data.u64;
    return sum;
}

static void set(int descriptor, int value) {
    uint64_t count = 1;
    if (value) WORKLOAD_CALL(write(descriptor, &count, sizeof count));
    else WORKLOAD_CALL(read(descriptor, &count, sizeof count));
}

int main(void) {
    workload_begin();
    int outer = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC)), inner = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC));
    int counter = WORKLOAD_CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), again = WORKLOAD_CALL(dup(counter));
    int moved = WORKLOAD_CALL(eventfd(0, EFD_NONBLOCK)), kept = WORKLOAD_CALL(dup(moved));
    int once = WORKLOAD_CALL(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    add(outer, inner, EPOLLIN, 0x100);
    add(inner, counter, EPOLLIN, 1);
    add(inner, again, EPOLLIN, 2);
    add(outer, moved, EPOLLIN, 0x1000000000);
    // The watch lives on, under a number that then means another file, which is watched as well.
    int other = WORKLOAD_CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    WORKLOAD_CALL(dup2(other, moved));
    add(outer, moved, EPOLLIN, 0x2000000000);
    add(inner, once, EPOLLIN | EPOLLONESHOT, 4);
    WORKLOAD_CHECK(ready(inner) == 4, "the one-shot does not fire");
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(epoll_ctl(inner, EPOLL_CTL_DEL, again, NULL));
        WORKLOAD_CHECK(ready(outer) == 0 && ready(inner) == 0, "ready without a reason");
        set(counter, 1);
        WORKLOAD_CHECK(ready(outer) == 0x100, "the inner instance does not wake the outer one");
        WORKLOAD_CHECK(ready(inner) == 3, "one file under two numbers gave 0x%lx", ready(inner));
        set(counter, 0);
        set(kept, 1);
        WORKLOAD_CHECK(ready(outer) == 0x1000000000, "the file that lost its number gave 0x%lx", ready(outer));
        set(kept, 0);
        set(other, 1);
        WORKLOAD_CHECK(ready(outer) == 0x2000000000, "the file that took the number gave 0x%lx", ready(outer));
        set(other, 0);
        workload_progress();
        workload_pause(5);
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 4};
    WORKLOAD_CALL(epoll_ctl(inner, EPOLL_CTL_MOD, once, &event));
    WORKLOAD_CHECK(ready(inner) == 4, "the one-shot does not fire again");
    workload_verified();
}
