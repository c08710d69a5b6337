// memory policies of tasks and ranges, which memory a core dump holds, the niceness of a session, busy polling of epoll
// needs: threads, memory
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "workload.h"

// linux/mempolicy.h
enum { preferred = 1, bound = 2, interleaved = 3, of_address = 2, bytes = 8 * 4096 };

static char *range;
static bool has_policies;
static volatile int turn, answered;
static volatile long thread_policy;

static long policy(void *address) {
    int mode = 0;
    unsigned long nodes = 0;
    WORKLOAD_CALL(syscall(SYS_get_mempolicy, &mode, &nodes, 64, address, address ? of_address : 0));
    return mode | (long)nodes << 32;
}

static void *work(void *unused) {
    unsigned long node = 1;
    if (has_policies) WORKLOAD_CALL(syscall(SYS_set_mempolicy, preferred, &node, 64));
    for (int mine = 0;; workload_pause(1)) {
        if (mine == turn) continue;
        mine = turn;
        thread_policy = has_policies ? policy(NULL) : 0;
        answered = mine;
    }
    return unused;
}

static void read_text(const char *path, char *into, size_t capacity) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = descriptor < 0 ? 0 : read(descriptor, into, capacity - 1);
    if (descriptor >= 0) close(descriptor);
    into[length < 0 ? 0 : length] = 0;
}

static bool write_text(const char *path, const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    bool done = descriptor >= 0 && write(descriptor, text, length) == (ssize_t)length;
    if (descriptor >= 0) close(descriptor);
    return done;
}

/// `/autogroup-5 nice 0`
static long niceness(void) {
    char text[64];
    read_text("/proc/self/autogroup", text, sizeof text);
    for (char *word = text; *word; word++)
        if (*word == ' ' && word[1] != 'n') return strtol(word, NULL, 10);
    return 0;
}

static long filter(void) {
    char text[32];
    read_text("/proc/self/coredump_filter", text, sizeof text);
    return strtol(text, NULL, 16);
}

int main(void) {
    workload_begin();
    setsid();
    write_text("/proc/self/autogroup", "3");
    long nice = niceness();
    WORKLOAD_CHECK(write_text("/proc/self/coredump_filter", "0x5"), "coredump_filter: errno %d", errno);
    range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(range != MAP_FAILED, "mmap: errno %d", errno);
    unsigned long node = 1;
    // A kernel without NUMA has none of it.
    has_policies = syscall(SYS_mbind, range + 4096, 4096, bound, &node, 64, 0) == 0;
    if (has_policies) WORKLOAD_CALL(syscall(SYS_set_mempolicy, interleaved, &node, 64));
    for (int index = 0; index < bytes; index++) range[index] = (char)workload_number(1, (uint64_t)index);
    // struct epoll_params: microseconds, packets, preferred; EPIOCSPARAMS, since 6.9.
    uint32_t polling[2] = {50, 1 << 16 | 8}, found[2];
    int epoll = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC));
    bool polls = ioctl(epoll, 0x40088a01, polling) == 0;
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) write_text("/proc/self/coredump_filter", "0x7");
        WORKLOAD_CHECK(filter() == 5, "the filter of core dumps is %lx, not 5", filter());
        WORKLOAD_CHECK(niceness() == nice, "the niceness of the session is %ld, not %ld", niceness(), nice);
        turn++;
        for (int tries = 0; answered != turn && tries < 2000; tries++) workload_pause(1);
        WORKLOAD_CHECK(answered == turn, "the thread does not answer");
        if (has_policies) {
            WORKLOAD_CHECK(policy(NULL) == (interleaved | 1L << 32), "the policy is %lx", policy(NULL));
            WORKLOAD_CHECK(thread_policy == (preferred | 1L << 32), "the thread's policy is %lx", thread_policy);
            WORKLOAD_CHECK(policy(range) == 0, "the policy of a free range is %lx", policy(range));
            WORKLOAD_CHECK(policy(range + 4096) == (bound | 1L << 32), "the policy of a range is %lx",
                           policy(range + 4096));
        }
        for (int index = 0; index < bytes; index++)
            WORKLOAD_CHECK(range[index] == (char)workload_number(1, (uint64_t)index), "byte %d differs", index);
        // A kernel that does not know it has lost it for good.
        if (polls && ioctl(epoll, 0x80088a02, found) != 0) polls = false;
        if (polls)
            WORKLOAD_CHECK(found[0] == polling[0] && found[1] == polling[1], "epoll polls %u us, %x", found[0], found[1]);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
