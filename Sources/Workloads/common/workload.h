// What every workload written in C shares: events, progress, seeded numbers. Protocol: ../README.md.
//
// Nothing here that runs between `ready` and `verified` calls a string function of libc: glibc picks those at start by
// CPU feature, and a workload that latches AVX2 through its harness would say nothing about itself.
#ifndef CRLAB_WORKLOAD_H
#define CRLAB_WORKLOAD_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WORKLOAD_SHARED __attribute__((unused)) static

/// Absolute, because a workload may change its current directory.
static char workload_status_path[PATH_MAX];
static char workload_verify_path[PATH_MAX];
static int workload_progress_descriptor = -1;
static uint64_t workload_progress_count;
static uint64_t workload_seed_value = 1;
static bool workload_break_requested;

WORKLOAD_SHARED size_t workload_append(char *into, size_t at, size_t capacity, const char *text) {
    while (*text && at + 1 < capacity) into[at++] = *text++;
    into[at] = 0;
    return at;
}

WORKLOAD_SHARED void workload_event(const char *line) {
    size_t length = 0;
    while (line[length]) length++;
    int descriptor = open(workload_status_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0 || write(descriptor, line, length) != (ssize_t)length) _exit(2);
    close(descriptor);
}

/// Ends the process: its invariant does not hold. The first process of a tree to say so wins.
__attribute__((noreturn, format(printf, 1, 2), unused)) static void workload_fail(const char *format, ...) {
    char reason[400], line[440];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "failed: %s\n", reason);
    workload_event(line);
    _exit(1);
}

/// Checks an invariant; `errno` at that moment is the caller's to print.
#define WORKLOAD_CHECK(condition, ...)                  \
    do {                                                \
        if (!(condition)) workload_fail(__VA_ARGS__);   \
    } while (0)

/// A call that cannot fail unless the machine is wrong.
#define WORKLOAD_CALL(expression)                                                            \
    ({                                                                                       \
        __auto_type workload_value = (expression);                                           \
        if (workload_value == (__typeof__(workload_value))-1)                                \
            workload_fail("%s: errno %d at %s:%d", #expression, errno, __FILE__, __LINE__);  \
        workload_value;                                                                      \
    })

/// Call first.
WORKLOAD_SHARED void workload_begin(void) {
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory)) _exit(2);
    size_t length = workload_append(workload_status_path, 0, sizeof workload_status_path, directory);
    workload_append(workload_status_path, length, sizeof workload_status_path, "/status");
    length = workload_append(workload_verify_path, 0, sizeof workload_verify_path, directory);
    workload_append(workload_verify_path, length, sizeof workload_verify_path, "/verify");
    const char *seed = getenv("CRLAB_SEED");
    if (seed) workload_seed_value = strtoull(seed, NULL, 10);
    const char *breaking = getenv("CRLAB_BREAK");
    workload_break_requested = breaking && breaking[0] == '1';
    workload_progress_descriptor = WORKLOAD_CALL(open("progress", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

WORKLOAD_SHARED void workload_ready(void) { workload_event("ready\n"); }

/// Counts one checked step. Only one process and one thread of a tree may call it.
WORKLOAD_SHARED void workload_progress(void) {
    char text[21];
    uint64_t value = ++workload_progress_count;
    for (int digit = 19; digit >= 0; digit--, value /= 10) text[digit] = (char)('0' + value % 10);
    text[20] = '\n';
    WORKLOAD_CHECK(pwrite(workload_progress_descriptor, text, 21, 0) == 21, "progress: errno %d", errno);
}

/// Whether somebody asks for the final verification.
WORKLOAD_SHARED bool workload_verify_requested(void) { return access(workload_verify_path, F_OK) == 0; }

/// Whether it is time to damage the own invariant (CRLAB_BREAK=1), which must end in `failed:`. True once only, and after
/// some healthy steps.
WORKLOAD_SHARED bool workload_break_now(void) {
    if (!workload_break_requested || workload_progress_count < 3) return false;
    workload_break_requested = false;
    return true;
}

/// Ends the process: everything holds. `_exit`, because the handlers of libc may be code that the source host chose.
__attribute__((noreturn, unused)) static void workload_verified(void) {
    workload_event("verified\n");
    _exit(0);
}

/// Sleeps; a restore may cut the sleep short or start it again. Relative time, because clocks jump across hosts.
WORKLOAD_SHARED void workload_pause(unsigned milliseconds) {
    struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/// splitmix64: the n-th number of a stream follows from its state alone.
WORKLOAD_SHARED uint64_t workload_mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

/// Number `index` of stream `stream` under CRLAB_SEED.
WORKLOAD_SHARED uint64_t workload_number(uint64_t stream, uint64_t index) {
    return workload_mix(workload_mix(workload_seed_value * 0x100000001B3ULL + stream) + index);
}

#endif
