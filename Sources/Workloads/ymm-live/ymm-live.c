// Keeps sixteen different values in YMM0 to YMM15 (XMM where there is no AVX) through thousands of instructions and
// through system calls, so that wherever a dump falls the registers are live. Only AVX is used, no AVX2.
#include <cpuid.h>
#include <sys/syscall.h>

#include "workload.h"

typedef struct {
    uint64_t lanes[16][4];
} __attribute__((aligned(32))) register_file;

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_YMM(n) "vmovaps " #n "*32(%[from]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovaps %%ymm" #n ", " #n "*32(%[into])\n\t"
#define LOAD_XMM(n) "movaps " #n "*32(%[from]), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movaps %%xmm" #n ", " #n "*32(%[into])\n\t"
// Exchanging both halves (vperm2f128) an even number of times, and exclusive-or with another register twice, changes
// nothing in the end; in between every register holds something else than in memory.
#define HALVES(n) "vperm2f128 $1, %%ymm" #n ", %%ymm" #n ", %%ymm" #n "\n\t"
#define MIX_YMM                                                                                                       \
    "vxorps %%ymm1, %%ymm0, %%ymm0\n\t" "vxorps %%ymm3, %%ymm2, %%ymm2\n\t" "vxorps %%ymm5, %%ymm4, %%ymm4\n\t"       \
    "vxorps %%ymm7, %%ymm6, %%ymm6\n\t" "vxorps %%ymm9, %%ymm8, %%ymm8\n\t" "vxorps %%ymm11, %%ymm10, %%ymm10\n\t"    \
    "vxorps %%ymm13, %%ymm12, %%ymm12\n\t" "vxorps %%ymm15, %%ymm14, %%ymm14\n\t"
#define MIX_XMM                                                                                                       \
    "xorps %%xmm1, %%xmm0\n\t" "xorps %%xmm3, %%xmm2\n\t" "xorps %%xmm5, %%xmm4\n\t" "xorps %%xmm7, %%xmm6\n\t"       \
    "xorps %%xmm9, %%xmm8\n\t" "xorps %%xmm11, %%xmm10\n\t" "xorps %%xmm13, %%xmm12\n\t" "xorps %%xmm15, %%xmm14\n\t"

// `spins` rounds of mixing (even, so that all is undone), then nanosleep with every register live, `naps` times.
// A nap that a restore cuts short is as good as a long one.
#define LIVE(LOAD, MIX, STORE)                                                                                        \
    EACH(LOAD)                                                                                                        \
    "1:\n\t" "mov %[spins], %%r8\n\t"                                                                                 \
    "2:\n\t" MIX "dec %%r8\n\t" "jnz 2b\n\t"                                                                          \
    "mov %[sleep], %%rax\n\t" "mov %[nap], %%rdi\n\t" "xor %%esi, %%esi\n\t" "syscall\n\t"                            \
    "dec %[naps]\n\t" "jnz 1b\n\t"                                                                                    \
    EACH(STORE)

#define OPERANDS                                                                                                      \
    : [naps] "+r"(naps)                                                                                               \
    : [from] "r"(from), [into] "r"(into), [spins] "r"(spins), [nap] "r"(&nap), [sleep] "i"(SYS_nanosleep)             \
    : "rax", "rdi", "rsi", "rcx", "r8", "r11", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",        \
      "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

static const struct timespec nap = {0, 2000000};

__attribute__((noinline)) static void hold_ymm(register_file *into, const register_file *from, uint64_t spins) {
    uint64_t naps = 4;
    __asm__ volatile(LIVE(LOAD_YMM, MIX_YMM EACH(HALVES), STORE_YMM) "vzeroupper\n\t" OPERANDS);
}

__attribute__((noinline)) static void hold_xmm(register_file *into, const register_file *from, uint64_t spins) {
    uint64_t naps = 4;
    __asm__ volatile(LIVE(LOAD_XMM, MIX_XMM, STORE_XMM) OPERANDS);
}

/// Whether CPU and kernel give AVX: the instruction set, and the state that goes with it.
static bool has_avx(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX)) return false;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

int main(void) {
    workload_begin();
    bool avx = has_avx();
    dprintf(STDOUT_FILENO, "%s\n", avx ? "avx" : "sse");
    static register_file before, after;
    workload_ready();
    for (uint64_t round = 0;; round++) {
        for (unsigned number = 0; number < 16; number++)
            for (unsigned lane = 0; lane < 4; lane++) {
                before.lanes[number][lane] = workload_number(900 + round, number * 4 + lane);
                after.lanes[number][lane] = avx ? 0 : before.lanes[number][lane];
            }
        (avx ? hold_ymm : hold_xmm)(&after, &before, 20000);
        if (workload_break_now()) after.lanes[9][3] ^= 1;
        for (unsigned number = 0; number < 16; number++)
            for (unsigned lane = 0; lane < 4; lane++)
                WORKLOAD_CHECK(before.lanes[number][lane] == after.lanes[number][lane],
                               "%s%u, bits %u up: %lx instead of %lx", avx ? "ymm" : "xmm", number, lane * 64,
                               after.lanes[number][lane], before.lanes[number][lane]);
        workload_progress();
        if (workload_verify_requested()) workload_verified();
    }
}
