// Reads the clocks through the vDSO, whose code and data belong to the kernel that started the program. What it says must
// agree with the system call, wherever it runs by then.
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "workload.h"

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }

/// vDSO between two system calls must lie between them. Clocks may jump once, when a restore falls inside: try again.
static void check_clock(clockid_t clock, int64_t bias) {
    for (int attempt = 0;; attempt++) {
        struct timespec before, middle, after;
        WORKLOAD_CALL(syscall(SYS_clock_gettime, clock, &before));
        WORKLOAD_CALL(clock_gettime(clock, &middle));
        WORKLOAD_CALL(syscall(SYS_clock_gettime, clock, &after));
        int64_t value = nanoseconds(middle) + bias;
        if (nanoseconds(before) <= value && value <= nanoseconds(after)) return;
        WORKLOAD_CHECK(attempt < 3, "clock %d: the vDSO says %ld, the kernel %ld to %ld", clock, value,
                       nanoseconds(before), nanoseconds(after));
    }
}

static void check_seconds(void) {
    for (int attempt = 0;; attempt++) {
        struct timeval before, middle, after;
        WORKLOAD_CALL(syscall(SYS_gettimeofday, &before, NULL));
        WORKLOAD_CALL(gettimeofday(&middle, NULL));
        time_t seconds = time(NULL);
        WORKLOAD_CALL(syscall(SYS_gettimeofday, &after, NULL));
        bool fits = timercmp(&before, &middle, <=) && timercmp(&middle, &after, <=);
        // time() reads the coarse clock, which may be one tick behind.
        if (fits && seconds >= before.tv_sec - 1 && seconds <= after.tv_sec) return;
        WORKLOAD_CHECK(attempt < 3, "gettimeofday or time disagrees with the kernel: %ld and %ld against %ld",
                       middle.tv_sec, seconds, after.tv_sec);
    }
}

static void check_cpu(void) {
    int cpu = sched_getcpu();
    WORKLOAD_CHECK(cpu >= 0 && cpu < sysconf(_SC_NPROCESSORS_CONF), "getcpu says CPU %d", cpu);
}

int main(void) {
    workload_begin();
    // Bind now what a first call would set up.
    for (size_t each = 0; each < sizeof clocks / sizeof *clocks; each++) check_clock(clocks[each], 0);
    check_seconds();
    check_cpu();
    workload_ready();
    do {
        int64_t bias = workload_break_now() ? 3600LL * 1000000000 : 0;
        for (int repeat = 0; repeat < 200; repeat++) {
            for (size_t each = 0; each < sizeof clocks / sizeof *clocks; each++) check_clock(clocks[each], bias);
            check_seconds();
        }
        check_cpu();
        struct timespec resolution;
        WORKLOAD_CALL(clock_getres(CLOCK_MONOTONIC, &resolution));
        workload_progress();
        workload_pause(5);
    } while (!workload_verify_requested());
    workload_verified();
}
