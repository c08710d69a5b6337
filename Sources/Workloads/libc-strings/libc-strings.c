// Calls libc's string functions over many lengths and alignments and compares with loops of its own. libc picked each of
// them by CPU feature when the program started (IFUNC), so a restore elsewhere runs the source host's choice.
#include <string.h>
#include <strings.h>

#include "workload.h"

enum { capacity = 4096 + 256 };

static unsigned char left[capacity], right[capacity], copy[capacity], model[capacity];

static size_t naive_length(const unsigned char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

static int naive_compare(const unsigned char *a, const unsigned char *b, size_t length, bool text) {
    for (size_t at = 0; at < length; at++) {
        if (a[at] != b[at]) return a[at] < b[at] ? -1 : 1;
        if (text && !a[at]) return 0;
    }
    return 0;
}

static int sign(int value) { return (value > 0) - (value < 0); }

static void check_bytes(const char *function, size_t length, size_t alignment) {
    for (size_t at = 0; at < capacity; at++)
        WORKLOAD_CHECK(copy[at] == model[at], "%s: length %zu, alignment %zu: byte %zu is %#x instead of %#x", function,
                       length, alignment, at, copy[at], model[at]);
}

/// One function, one case: `offset` from the library against `expected`.
static void check_pointer(const char *function, const void *base, const void *found, ptrdiff_t expected, size_t length) {
    ptrdiff_t offset = found ? (const unsigned char *)found - (const unsigned char *)base : -1;
    WORKLOAD_CHECK(offset == expected, "%s: length %zu: found at %td instead of %td", function, length, offset,
                   expected);
}

static void check_length(size_t length, size_t a, size_t b, uint64_t seed) {
    // Text without zero in it, then ended; the neighbour bytes are not zero, so running over shows.
    for (size_t at = 0; at < length + 64 && at + 64 < capacity; at++)
        left[a + at] = right[b + at] = (unsigned char)(1 + workload_mix(seed + at) % 250);
    left[a + length] = right[b + length] = 0;
    const unsigned char *text = left + a, *other = right + b;
    WORKLOAD_CHECK(strlen((const char *)text) == naive_length(text), "strlen: length %zu says %zu", length,
                   strlen((const char *)text));
    WORKLOAD_CHECK(strnlen((const char *)text, length / 2 + 1) == (length < length / 2 + 1 ? length : length / 2 + 1),
                   "strnlen: length %zu", length);
    WORKLOAD_CHECK(memcmp(text, other, length) == 0 && strcmp((const char *)text, (const char *)other) == 0,
                   "memcmp or strcmp: equal texts of length %zu differ", length);
    WORKLOAD_CHECK(strcasecmp((const char *)text, (const char *)other) == 0, "strcasecmp: length %zu", length);
    if (length > 0) {
        size_t at = workload_mix(seed) % length;
        right[b + at] = 255;  // a byte that the text never holds
        WORKLOAD_CHECK(sign(memcmp(text, other, length)) == naive_compare(text, other, length, false) &&
                           sign(strcmp((const char *)text, (const char *)other)) ==
                               naive_compare(text, other, length, true) &&
                           sign(strncmp((const char *)text, (const char *)other, at)) == 0,
                       "memcmp, strcmp or strncmp: length %zu, difference at %zu", length, at);
        check_pointer("memchr", other, memchr(other, 255, length), (ptrdiff_t)at, length);
        check_pointer("strchr", other, strchr((const char *)other, 255), (ptrdiff_t)at, length);
        check_pointer("strrchr", other, strrchr((const char *)other, 255), (ptrdiff_t)at, length);
        check_pointer("memrchr", other, memrchr(other, 255, length), (ptrdiff_t)at, length);
        check_pointer("rawmemchr", other, rawmemchr(other, 255), (ptrdiff_t)at, length);
        check_pointer("strpbrk", other, strpbrk((const char *)other, "\xff\xfe"), (ptrdiff_t)at, length);
        WORKLOAD_CHECK(strcspn((const char *)other, "\xff") == at, "strcspn: length %zu", length);
    }
    check_pointer("memchr", text, memchr(text, 255, length), -1, length);
    check_pointer("strchrnul", text, strchrnul((const char *)text, 255), (ptrdiff_t)length, length);

    memset(copy, 0xA5, capacity);
    for (size_t at = 0; at < capacity; at++) model[at] = 0xA5;
    check_bytes("memset", capacity, 0);
    void *end = mempcpy(copy + b, text, length);
    for (size_t at = 0; at < length; at++) model[b + at] = text[at];
    check_pointer("mempcpy", copy + b, end, (ptrdiff_t)length, length);
    check_bytes("mempcpy", length, b);
    size_t shift = a % 7 + 1;
    memmove(copy + b + shift, copy + b, length);  // overlaps
    for (size_t at = length; at-- > 0;) model[b + shift + at] = model[b + at];
    check_bytes("memmove", length, shift);
    memset(copy + a, 0x3C, length);
    for (size_t at = 0; at < length; at++) model[a + at] = 0x3C;
    check_bytes("memset", length, a);
    memcpy(copy + a, text, length + 1);
    for (size_t at = 0; at <= length; at++) model[a + at] = text[at];
    check_bytes("memcpy", length, a);
    char *after = stpcpy((char *)copy + b, (const char *)text);
    for (size_t at = 0; at <= length; at++) model[b + at] = text[at];
    check_pointer("stpcpy", copy + b, after, (ptrdiff_t)length, length);
    check_bytes("stpcpy", length, b);
}

int main(void) {
    workload_begin();
    static const size_t lengths[] = {0, 1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200, 255,
        256, 257, 500, 511, 512, 513, 1000, 1024, 1500, 2047, 2048, 2049, 3000, 3900};
    enum { count = sizeof lengths / sizeof *lengths };
    workload_ready();
    for (uint64_t round = 0;; round++) {
        for (size_t each = round % 5; each < count; each += 5)
            check_length(lengths[each], workload_mix(round + each) % 64, workload_mix(round * 31 + each) % 64,
                         workload_number(600, round));
        if (workload_break_now()) {
            // A library that copies one byte too few.
            memcpy(copy, left, 99);
            for (size_t at = 0; at < capacity; at++) model[at] = copy[at];
            model[99] ^= 1;
            check_bytes("memcpy", 100, 0);
        }
        workload_progress();
        if (workload_verify_requested()) break;
        workload_pause(10);
    }
    for (size_t each = 0; each < count; each++)
        for (size_t alignment = 0; alignment < 64; alignment += 13)
            check_length(lengths[each], alignment, 63 - alignment, workload_number(601, each));
    workload_verified();
}
