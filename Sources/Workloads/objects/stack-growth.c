// a mapping that grows downwards and has grown, and the stack itself, grown deep before and deeper after
// needs: memory
#include <sys/mman.h>

#include "workload.h"

enum { page = 4096 };

__attribute__((noinline)) static uint64_t dive(unsigned depth, uint64_t value) {
    volatile char room[2048];
    for (unsigned index = 0; index < sizeof room; index += 64) room[index] = (char)(value + index + depth);
    uint64_t below = depth == 0 ? value : dive(depth - 1, workload_mix(value));
    for (unsigned index = 0; index < sizeof room; index += 64)
        WORKLOAD_CHECK(room[index] == (char)(value + index + depth), "the stack differs at depth %u", depth);
    return below;
}

static uint64_t expected(unsigned depth, uint64_t value) {
    while (depth--) value = workload_mix(value);
    return value;
}

int main(void) {
    workload_begin();
    // Room below for growing, then the mapping itself.
    char *room = mmap(NULL, 1024 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WORKLOAD_CHECK(room != MAP_FAILED, "mmap: errno %d", errno);
    WORKLOAD_CALL(munmap(room, 1024 * page));
    char *top = room + 1024 * page;
    char *low = mmap(top - 2 * page, 2 * page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    WORKLOAD_CHECK(low != MAP_FAILED, "mmap: errno %d", errno);
    unsigned grown = 0;
    volatile uint64_t *words = (volatile uint64_t *)(void *)top;
    // Page by page: the kernel lets it grow where it is touched.
    for (; grown < 100; grown++) words[-(long)grown * 512 - 1] = workload_number(1, grown);
    workload_ready();
    unsigned depth = 40;
    while (!workload_verify_requested()) {
        if (workload_break_now()) words[-5 * 512 - 1]++;
        for (unsigned index = 0; index < grown; index++)
            WORKLOAD_CHECK(words[-(long)index * 512 - 1] == workload_number(1, index), "page %u differs", index);
        if (grown < 600) {
            words[-(long)grown * 512 - 1] = workload_number(1, grown);
            grown++;
        }
        WORKLOAD_CHECK(dive(depth, depth) == expected(depth, depth), "another answer at depth %u", depth);
        if (depth < 1200) depth += 20;
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
