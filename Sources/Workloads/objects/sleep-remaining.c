// a sleep of five seconds goes on for the time that is left
// needs: threads
#include <sys/syscall.h>

#include "workload.h"
#include <pthread.h>

static volatile uint64_t ended;
static volatile long answer = -2;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void *work(void *unused) {
    const struct timespec whole = {5, 0};
    struct timespec left;
    answer = syscall(SYS_nanosleep, &whole, &left);
    ended = now();
    return unused;
}

int main(void) {
    workload_begin();
    pthread_t thread;
    uint64_t start = now(), last = start, frozen = 0;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
    workload_ready();
    bool broken = false;
    while (!workload_verify_requested() || !ended) {
        // Time in which this thread did not run either does not count as slept: the dump took it.
        uint64_t current = now();
        if (current - last > 50) frozen += current - last;
        last = current;
        if (workload_break_now()) broken = true;
        if (broken) workload_fail("told to break");
        WORKLOAD_CHECK(current < start + 8000 + frozen, "it sleeps for %u ms", (unsigned)(current - start));
        if (!ended) workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CHECK(answer == 0, "nanosleep ends with %ld", answer);
    WORKLOAD_CHECK(ended + 5 >= start + 5000, "it has slept for %u ms only", (unsigned)(ended - start));
    WORKLOAD_CHECK(ended < start + 5600 + frozen, "it has slept for %u ms, %u of them frozen", (unsigned)(ended - start), (unsigned)frozen);
    workload_verified();
}
