// sleeps of five seconds go on for the time that is left: nanosleep with and without a place for it, poll, futex
// needs: threads
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "workload.h"

enum { kinds = 4 };

static const char *const names[kinds] = {"nanosleep", "nanosleep without a place", "poll", "futex"};
static volatile uint64_t ended[kinds];
static volatile long answers[kinds];
static volatile int errors[kinds];

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void *work(void *argument) {
    int kind = (int)(intptr_t)argument;
    const struct timespec whole = {5, 0};
    struct timespec left;
    int word = 3;
    long answer = 0;
    switch (kind) {
        case 0: answer = syscall(SYS_nanosleep, &whole, &left); break;
        case 1: answer = syscall(SYS_nanosleep, &whole, NULL); break;
        case 2: answer = poll(NULL, 0, 5000); break;
        default: answer = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 3, &whole, NULL, 0); break;
    }
    errors[kind] = answer < 0 ? errno : 0;
    answers[kind] = answer;
    ended[kind] = now();
    return NULL;
}

int main(void) {
    workload_begin();
    pthread_t thread;
    uint64_t start = now(), last = start, frozen = 0;
    for (intptr_t kind = 0; kind < kinds; kind++)
        WORKLOAD_CHECK(pthread_create(&thread, NULL, work, (void *)kind) == 0, "no thread");
    workload_ready();
    bool all = false;
    while (!all || !workload_verify_requested()) {
        // Time in which this thread did not run does not count as slept: the dump took it.
        uint64_t current = now();
        if (current - last > 40) frozen += current - last;
        last = current;
        if (workload_break_now()) workload_fail("told to break");
        all = true;
        for (int kind = 0; kind < kinds; kind++) {
            if (!ended[kind]) {
                all = false;
                WORKLOAD_CHECK(current < start + 8000 + frozen, "%s lasts for %u ms", names[kind], (unsigned)(current - start));
                continue;
            }
            WORKLOAD_CHECK(errors[kind] == (kind == 3 ? ETIMEDOUT : 0), "%s ends with errno %d", names[kind], errors[kind]);
            uint64_t slept = ended[kind] - start;
            WORKLOAD_CHECK(slept + 5 >= 5000, "%s lasts for %u ms only", names[kind], (unsigned)slept);
            // Only the first is sure: the kernel writes its rest down. For the others it has to be caught in the act.
            WORKLOAD_CHECK(kind != 0 || slept < 5700 + frozen, "%s lasts for %u ms, %u of them frozen", names[kind], (unsigned)slept, (unsigned)frozen);
        }
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
