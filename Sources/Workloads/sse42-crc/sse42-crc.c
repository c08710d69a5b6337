// Picks CRC32 and POPCNT instructions at start where the CPU has SSE4.2, tables and loops elsewhere.
#include <nmmintrin.h>

#include "workload.h"

enum { bytes = 8192 };

static uint64_t input[bytes / 8];
static uint32_t table[256];

typedef struct {
    uint32_t crc;
    uint64_t ones;
} digest;

static digest digest_baseline(const uint64_t *from, size_t count) {
    digest sum = {~0U, 0};
    for (size_t at = 0; at < count; at++) {
        for (unsigned shift = 0; shift < 64; shift += 8)
            sum.crc = sum.crc >> 8 ^ table[(sum.crc ^ (uint32_t)(from[at] >> shift)) & 0xFF];
        for (uint64_t left = from[at]; left; left &= left - 1) sum.ones++;
    }
    return sum;
}

__attribute__((target("sse4.2,popcnt"), noinline)) static digest digest_sse42(const uint64_t *from, size_t count) {
    uint64_t crc = ~0U, ones = 0;
    for (size_t at = 0; at < count; at++) {
        crc = _mm_crc32_u64(crc, from[at]);
        ones += (uint64_t)_mm_popcnt_u64(from[at]);
    }
    return (digest){(uint32_t)crc, ones};
}

int main(void) {
    workload_begin();
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;  // CRC-32C, the polynomial that the instruction computes
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0x82F63B78 : 0);
        table[byte] = value;
    }
    __builtin_cpu_init();
    bool fast = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    static digest (*volatile chosen)(const uint64_t *, size_t);
    chosen = fast ? digest_sse42 : digest_baseline;
    dprintf(STDOUT_FILENO, "%s\n", fast ? "sse4.2,popcnt" : "baseline");
    workload_ready();
    for (uint64_t round = 0;; round++) {
        for (size_t at = 0; at < bytes / 8; at++) input[at] = workload_number(800 + round, at);
        digest found = chosen(input, bytes / 8);
        if (workload_break_now()) found.crc ^= 1;
        digest expected = digest_baseline(input, bytes / 8);
        WORKLOAD_CHECK(found.crc == expected.crc && found.ones == expected.ones,
                       "round %lu: %x and %lu ones instead of %x and %lu", round, found.crc, found.ones, expected.crc,
                       expected.ones);
        workload_progress();
        if (workload_verify_requested()) workload_verified();
        workload_pause(10);
    }
}
