// calls that no kernel starts again after a stop: none of them may end because of a dump
// needs: threads
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "workload.h"

// Two threads count.
static _Atomic uint64_t returns;
static int epoll;

static void unexpected(const char *call) { workload_fail("%s ends with errno %d", call, errno); }

static void *wait_epoll(void *unused) {
    struct epoll_event event;
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1) unexpected("epoll_wait");
        uint64_t value;
        WORKLOAD_CHECK(read(event.data.fd, &value, sizeof value) == sizeof value, "read: errno %d", errno);
        returns += value;
    }
    return unused;
}

static void *wait_masked(void *unused) {
    sigset_t set;
    sigfillset(&set);
    struct epoll_event event;
    int other = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC));
    for (;;)
        if (epoll_pwait(other, &event, 1, 400, &set) != 0) unexpected("epoll_pwait");
    return unused;
}

static void *wait_signal(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    siginfo_t info;
    for (;;) {
        int signal = sigwaitinfo(&set, &info);
        if (signal != SIGUSR2) unexpected("sigwaitinfo");
        returns += (uint64_t)info.si_value.sival_int;
    }
    return unused;
}

int main(void) {
    workload_begin();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    WORKLOAD_CALL(sigprocmask(SIG_BLOCK, &set, NULL));
    epoll = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC));
    int event = WORKLOAD_CALL(eventfd(0, EFD_CLOEXEC));
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = event};
    WORKLOAD_CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
    pthread_t thread;
    void *(*work[])(void *) = {wait_epoll, wait_masked, wait_signal};
    for (size_t index = 0; index < sizeof work / sizeof work[0]; index++)
        WORKLOAD_CHECK(pthread_create(&thread, NULL, work[index], NULL) == 0, "no thread");
    workload_ready();
    uint64_t sent = 0;
    // Long pauses: the threads shall be waiting when the dump comes.
    while (!workload_verify_requested()) {
        if (workload_break_now()) sent++;
        WORKLOAD_CHECK(returns == sent, "%u wake-ups arrived of %u", (unsigned)returns, (unsigned)sent);
        uint64_t one = 1;
        WORKLOAD_CHECK(write(event, &one, sizeof one) == sizeof one, "write: errno %d", errno);
        union sigval value = {.sival_int = 1};
        WORKLOAD_CALL(sigqueue(getpid(), SIGUSR2, value));
        sent += 2;
        for (int tries = 0; returns != sent && tries < 400; tries++) workload_pause(5);
        workload_progress();
        workload_pause(20);
    }
    WORKLOAD_CHECK(returns == sent, "%u wake-ups arrived of %u", (unsigned)returns, (unsigned)sent);
    workload_verified();
}
