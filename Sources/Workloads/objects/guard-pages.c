// guard pages inside a mapping (MADV_GUARD_INSTALL), where the kernel has them
// needs: signals
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "workload.h"

enum { pages = 64, page = 4096 };

static sigjmp_buf back;
static void caught(int signal) { siglongjmp(back, signal); }

static bool faults(volatile uint64_t *place) {
    if (sigsetjmp(back, 1)) return true;
    (void)*place;
    return false;
}

static bool is_guard(unsigned index, bool can) { return can && (index % 8 == 3 || index == 20 || index == 21); }

int main(void) {
    workload_begin();
    struct sigaction action = {.sa_handler = caught};
    WORKLOAD_CALL(sigaction(SIGSEGV, &action, NULL));
    uint64_t *memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(memory != MAP_FAILED, "mmap: errno %d", errno);
    bool can = madvise(memory + 3 * 512, page, 102) == 0;
    for (unsigned index = 0; index < pages; index++) {
        if (is_guard(index, can)) {
            WORKLOAD_CALL(madvise(memory + index * 512, page, 102));
        } else if (index % 2) {
            memory[index * 512] = workload_number(1, index);
        }
    }
    workload_ready();
    unsigned step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) memory[5 * 512]++;
        for (unsigned index = 0; index < pages; index++) {
            WORKLOAD_CHECK(faults(memory + index * 512) == is_guard(index, can), "page %u: wrong guard", index);
            if (is_guard(index, can)) continue;
            uint64_t expected = index % 2 ? workload_number(1, index) : 0;
            WORKLOAD_CHECK(memory[index * 512] == expected, "page %u: wrong content", index);
        }
        if (can && step++ % 4 == 3) {
            // Take one away and put it back.
            WORKLOAD_CALL(madvise(memory + 20 * 512, page, 103));
            WORKLOAD_CHECK(!faults(memory + 20 * 512), "a guard cannot be removed");
            WORKLOAD_CALL(madvise(memory + 20 * 512, page, 102));
        }
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
