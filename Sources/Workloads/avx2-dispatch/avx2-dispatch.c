// Picks its kernel once, at start, by what the CPU says: AVX2 with BMI2, or baseline code. Both give the same numbers, so
// only a CPU that lacks the chosen instructions can tell them apart.
#include <immintrin.h>

#include "workload.h"

enum { words = 4096 };

static uint32_t input[words], output[words];

typedef uint64_t (*kernel)(uint32_t *restrict into, const uint32_t *restrict from, uint32_t factor, uint64_t mask);

/// Multiplies, rotates and adds each word; digests by spreading bits under a mask.
static uint64_t mix_baseline(uint32_t *restrict into, const uint32_t *restrict from, uint32_t factor, uint64_t mask) {
    uint64_t digest = 0;
    for (unsigned at = 0; at < words; at++) {
        uint32_t value = from[at] * factor;
        into[at] = ((value << 7) | (value >> 25)) + from[(at & ~7U) + (7 - at % 8)];
    }
    for (unsigned at = 0; at < words; at += 64) {
        uint64_t source = into[at], spread = 0;
        for (uint64_t left = mask; left; left &= left - 1, source >>= 1) spread |= source & 1 ? left & -left : 0;
        digest = (digest << 9 | digest >> 55) ^ spread;
    }
    return digest;
}

__attribute__((target("avx2,bmi2"), noinline)) static uint64_t mix_avx2_bmi2(
    uint32_t *restrict into, const uint32_t *restrict from, uint32_t factor, uint64_t mask) {
    const __m256i factors = _mm256_set1_epi32((int)factor), backwards = _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    for (unsigned at = 0; at < words; at += 8) {
        __m256i source = _mm256_loadu_si256((const __m256i *)(const void *)(from + at));
        __m256i value = _mm256_mullo_epi32(source, factors);
        value = _mm256_or_si256(_mm256_slli_epi32(value, 7), _mm256_srli_epi32(value, 25));
        value = _mm256_add_epi32(value, _mm256_permutevar8x32_epi32(source, backwards));
        _mm256_storeu_si256((__m256i *)(void *)(into + at), value);
    }
    uint64_t digest = 0;
    for (unsigned at = 0; at < words; at += 64)
        digest = (digest << 9 | digest >> 55) ^ _pdep_u64(into[at], mask);
    return digest;
}

int main(void) {
    workload_begin();
    for (unsigned at = 0; at < words; at++) input[at] = (uint32_t)workload_number(700, at);
    __builtin_cpu_init();
    bool fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    // In memory, as dispatch tables are; the compiler must not see through it.
    static volatile kernel chosen;
    chosen = fast ? mix_avx2_bmi2 : mix_baseline;
    dprintf(STDOUT_FILENO, "%s\n", fast ? "avx2,bmi2" : "baseline");
    static uint32_t reference[words];
    workload_ready();
    for (uint64_t round = 0;; round++) {
        uint32_t factor = (uint32_t)workload_number(701, round) | 1;
        uint64_t mask = workload_number(702, round);
        uint64_t digest = chosen(output, input, factor, mask);
        if (workload_break_now()) output[77] ^= 4;
        uint64_t expected = mix_baseline(reference, input, factor, mask);
        WORKLOAD_CHECK(digest == expected, "round %lu: digest %lx instead of %lx", round, digest, expected);
        for (unsigned at = 0; at < words; at++)
            WORKLOAD_CHECK(output[at] == reference[at], "round %lu: word %u is %x instead of %x", round, at, output[at],
                           reference[at]);
        workload_progress();
        if (workload_verify_requested()) workload_verified();
        workload_pause(10);
    }
}
