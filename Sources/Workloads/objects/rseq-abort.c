// a restartable sequence: what interrupts it makes it start again, and nothing in it happens by halves
// needs: threads
#include <pthread.h>
#include <sys/syscall.h>

#include "workload.h"

/// The first 32 bytes of the kernel's struct rseq.
struct area {
    uint32_t start, cpu;
    uint64_t sequence;
    uint32_t flags, unused[3];
} __attribute__((aligned(32)));

enum { signature = 0x53053053 };

static volatile bool isPossible, stop;
static volatile uint64_t rounds, aborts;

/// Counts from 0 up in a register for a while, then stores the result. An abort throws the count away; going on in the
/// middle with another count would store a wrong one.
static bool sequence(struct area *area, volatile uint64_t *result) {
    uint64_t aborted = 0;
    __asm__ volatile goto(
        ".pushsection .data.rel.local, \"aw\"\n\t"
        ".balign 32\n\t"
        "3: .long 0, 0\n\t"
        ".quad 1f, 2f - 1f, 4f\n\t"
        ".popsection\n\t"
        "leaq 3b(%%rip), %%rax\n\t"
        "movq %%rax, 8(%[area])\n\t"
        "1:\n\t"
        "xorq %%rcx, %%rcx\n\t"
        "5: incq %%rcx\n\t"
        "cmpq $20000, %%rcx\n\t"
        "jne 5b\n\t"
        "movq %%rcx, (%[result])\n\t"
        "2:\n\t"
        ".pushsection .text.unlikely, \"ax\"\n\t"
        ".long 0x53053053\n\t"
        "4: jmp %l[abort]\n\t"
        ".popsection\n\t"
        :
        : [area] "r"(area), [result] "r"(result)
        : "rax", "rcx", "memory", "cc"
        : abort);
    return aborted == 0;
abort:
    return false;
}

static void *work(void *unused) {
    static __thread struct area own;
    struct area *area = &own;
    if (syscall(SYS_rseq, area, sizeof *area, 0, signature) != 0) {
        // libc has registered its own: use that one.
        extern const ptrdiff_t __rseq_offset __attribute__((weak));
        if (!&__rseq_offset) return unused;
        char *pointer;
        __asm__("movq %%fs:0, %0" : "=r"(pointer));
        area = (struct area *)(pointer + __rseq_offset);
    }
    isPossible = true;
    while (!stop) {
        volatile uint64_t result = 0;
        if (sequence(area, &result)) {
            WORKLOAD_CHECK(result == 20000, "the sequence ended without its result");
            rounds++;
        } else {
            WORKLOAD_CHECK(result == 0, "an aborted sequence left %u", (unsigned)result);
            aborts++;
        }
        WORKLOAD_CHECK(area->cpu < 1 << 16, "the area says CPU %u", area->cpu);
    }
    return unused;
}

int main(void) {
    workload_begin();
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
    workload_pause(20);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) workload_fail("told to break");
        workload_progress();
        workload_pause(5);
    }
    uint64_t before = rounds;
    for (int tries = 0; isPossible && rounds == before && tries < 400; tries++) workload_pause(5);
    WORKLOAD_CHECK(!isPossible || rounds != before, "the sequence runs no more");
    stop = true;
    workload_verified();
}
