// clocks read without pause through the vDSO: none goes back, and the monotonic ones agree with the kernel's
// needs: threads
#include <pthread.h>
#include <sys/syscall.h>

#include "workload.h"

enum { kinds = 3 };

// Not CLOCK_MONOTONIC_RAW: a time namespace moves it by what CLOCK_MONOTONIC needs, so it may step by what the two differ.
static const clockid_t clocks[kinds] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE};
static volatile uint64_t reads[kinds];

static uint64_t value(const struct timespec *time) { return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec; }

static void *work(void *argument) {
    int kind = (int)(intptr_t)argument;
    uint64_t last = 0;
    struct timespec time;
    for (;;) {
        WORKLOAD_CALL(clock_gettime(clocks[kind], &time));
        WORKLOAD_CHECK(value(&time) >= last, "clock %d went back by %u us", clocks[kind], (unsigned)((last - value(&time)) / 1000));
        last = value(&time);
        reads[kind]++;
    }
    return NULL;
}

static void agree(int kind) {
    struct timespec before, between, after;
    WORKLOAD_CALL((int)syscall(SYS_clock_gettime, clocks[kind], &before));
    WORKLOAD_CALL(clock_gettime(clocks[kind], &between));
    WORKLOAD_CALL((int)syscall(SYS_clock_gettime, clocks[kind], &after));
    // The coarse clock stands for a tick, and may be read on either side of it.
    uint64_t slack = clocks[kind] == CLOCK_MONOTONIC_COARSE ? 20000000 : 0;
    WORKLOAD_CHECK(value(&before) <= value(&between) + slack && value(&between) <= value(&after) + slack,
                   "the vDSO and the kernel disagree about clock %d", clocks[kind]);
}

int main(void) {
    workload_begin();
    pthread_t thread;
    for (intptr_t kind = 0; kind < kinds; kind++)
        WORKLOAD_CHECK(pthread_create(&thread, NULL, work, (void *)kind) == 0, "no thread");
    workload_ready();
    while (!workload_verify_requested()) {
        for (int kind = 0; kind < kinds; kind++) agree(kind);
        if (workload_break_now()) workload_fail("told to break");
        workload_progress();
        workload_pause(5);
    }
    for (int kind = 0; kind < kinds; kind++) {
        uint64_t before = reads[kind];
        for (int tries = 0; reads[kind] == before && tries < 400; tries++) workload_pause(5);
        WORKLOAD_CHECK(reads[kind] != before, "nobody reads clock %d any more", clocks[kind]);
    }
    workload_verified();
}
