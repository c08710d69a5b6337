// Counts. Its numbers can be computed afresh from how far it got, so a lost, doubled or bent step shows.
#include "workload.h"

enum { slots = 8192, steps_per_round = 20000 };

static const uint64_t multiplier = 6364136223846793005ULL, increment = 1442695040888963407ULL;
static uint64_t slot[slots];

/// The generator's value after `count` steps, in O(log count).
static uint64_t jump(uint64_t from, uint64_t count) {
    uint64_t factor = 1, addend = 0, power = multiplier, sum = increment;
    for (; count; count >>= 1) {
        if (count & 1) {
            factor *= power;
            addend = addend * power + sum;
        }
        sum *= power + 1;
        power *= power;
    }
    return from * factor + addend;
}

/// Rounding upwards (SSE) and 53-bit precision (x87): two control registers that a restore must bring back.
static const uint32_t sse_control = 0x1F80 | 0x4000;
static const uint16_t x87_control = 0x027F;

static void check_control_registers(void) {
    uint32_t sse;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0" : "=m"(sse));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    WORKLOAD_CHECK((sse & ~0x3FU) == sse_control, "MXCSR is %#x", sse);
    WORKLOAD_CHECK(x87 == x87_control, "the x87 control word is %#x", x87);
}

static void check_slot(uint64_t start, uint64_t steps, uint64_t index) {
    // The last step that wrote this slot.
    uint64_t last = steps - 1 - (steps - 1 - index) % slots;
    uint64_t expected = jump(start, last + 1);
    WORKLOAD_CHECK(slot[index] == expected, "slot %lu holds %lx instead of %lx after %lu steps", index, slot[index],
                   expected, steps);
}

int main(void) {
    workload_begin();
    const uint64_t start = workload_number(1, 0);
    uint64_t value = start, steps = 0;
    __asm__ volatile("ldmxcsr %0" : : "m"(sse_control));
    __asm__ volatile("fldcw %0" : : "m"(x87_control));
    for (; steps < slots; steps++) slot[steps] = value = value * multiplier + increment;
    workload_ready();
    for (uint64_t round = 0;; round++) {
        for (unsigned step = 0; step < steps_per_round; step++, steps++)
            slot[steps % slots] = value = value * multiplier + increment;
        if (workload_break_now()) slot[0] ^= 1, value ^= 1;
        WORKLOAD_CHECK(value == jump(start, steps), "value %lx after %lu steps is wrong", value, steps);
        check_slot(start, steps, workload_number(2, round) % slots);
        check_control_registers();
        workload_progress();
        if (workload_verify_requested()) break;
        workload_pause(10);
    }
    for (uint64_t index = 0; index < slots; index++) check_slot(start, steps, index);
    workload_verified();
}
