// interrupted sleeps with time left: nanosleep, clock_nanosleep, select, ppoll, an absolute sleep, a timed lock
// needs: threads
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "workload.h"

enum { kinds = 6, milliseconds = 900 };

static const char *const names[kinds] = {"nanosleep", "clock_nanosleep", "select", "ppoll", "absolute sleep", "semaphore"};
static volatile bool stop;
static volatile uint64_t rounds[kinds];

static uint64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

/// Sleeps once, by raw calls: libc's loops would hide a call that ends early.
static long sleep_once(int kind) {
    const struct timespec whole = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    struct timespec left = {0, 0}, time = whole;
    struct timeval value = {milliseconds / 1000, milliseconds % 1000 * 1000L};
    sem_t semaphore;
    switch (kind) {
        case 0: return syscall(SYS_nanosleep, &whole, &left);
        case 1: return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &whole, &left);
        case 2: return syscall(SYS_select, 0, NULL, NULL, NULL, &value);
        case 3: return syscall(SYS_ppoll, NULL, 0, &time, NULL, 8);
        case 4:
            clock_gettime(CLOCK_MONOTONIC, &time);
            time.tv_nsec += whole.tv_nsec;
            time.tv_sec += whole.tv_sec + time.tv_nsec / 1000000000;
            time.tv_nsec %= 1000000000;
            return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        default:
            clock_gettime(CLOCK_REALTIME, &time);
            time.tv_nsec += whole.tv_nsec;
            time.tv_sec += whole.tv_sec + time.tv_nsec / 1000000000;
            time.tv_nsec %= 1000000000;
            sem_init(&semaphore, 0, 0);
            return sem_timedwait(&semaphore, &time) == -1 && errno == ETIMEDOUT ? 0 : -1;
    }
}

static void *work(void *argument) {
    int kind = (int)(intptr_t)argument;
    // The clock that the sleep counts on: the others may stand still while the workload is away.
    clockid_t clock = kind == 5 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    while (!stop) {
        uint64_t start = now(clock);
        long answer = sleep_once(kind);
        uint64_t took = now(clock) - start;
        WORKLOAD_CHECK(answer == 0, "%s ends with errno %d", names[kind], errno);
        // Clocks may jump forward across hosts that have no time namespaces, but nothing may be cut short.
        WORKLOAD_CHECK(took + 5 >= milliseconds, "%s took %u ms only", names[kind], (unsigned)took);
        rounds[kind]++;
    }
    return NULL;
}

int main(void) {
    workload_begin();
    pthread_t thread;
    for (intptr_t kind = 0; kind < kinds; kind++)
        WORKLOAD_CHECK(pthread_create(&thread, NULL, work, (void *)kind) == 0, "no thread");
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) workload_fail("told to break");
        workload_progress();
        workload_pause(10);
    }
    uint64_t before[kinds], start = now(CLOCK_MONOTONIC);
    for (int kind = 0; kind < kinds; kind++) before[kind] = rounds[kind];
    for (int kind = 0; kind < kinds; kind++)
        while (rounds[kind] == before[kind]) {
            WORKLOAD_CHECK(now(CLOCK_MONOTONIC) - start < 3 * milliseconds + 2000, "%s does not end", names[kind]);
            workload_pause(10);
        }
    workload_verified();
}
