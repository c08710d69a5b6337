// protections changed piece by piece, content that nobody may read, low addresses, heap, private copies of file pages
// needs: files
#include <sys/mman.h>

#include "workload.h"

enum { page = 4096, pieces = 64, many = 2000 };

static char *checked(void *start) {
    WORKLOAD_CHECK(start != MAP_FAILED, "mmap: errno %d", errno);
    return start;
}

int main(void) {
    workload_begin();
    // Protections that alternate.
    char *patch = checked(mmap(NULL, pieces * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    static const int protections[4] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
    for (int index = 0; index < pieces; index++) {
        *(uint64_t *)(void *)(patch + index * page) = workload_number(1, (uint64_t)index);
        WORKLOAD_CALL(mprotect(patch + index * page, page, protections[index % 4]));
    }
    // A file: a private mapping with a changed page, a shared one behind its end, a private one of a file without a name.
    int file = WORKLOAD_CALL(open("mapped", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    for (uint64_t index = 0; index < 8 * 512; index++) {
        uint64_t word = workload_number(2, index);
        WORKLOAD_CHECK(write(file, &word, 8) == 8, "write: errno %d", errno);
    }
    uint64_t *private = (uint64_t *)(void *)checked(mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
    private[3 * 512] = 33;
    private[4 * 512] = 0;
    for (int index = 5 * 512; index < 6 * 512; index++) private[index] = 0;
    uint64_t *middle = (uint64_t *)(void *)checked(mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 2 * page));
    checked(mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    int nameless = WORKLOAD_CALL(open("nameless", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    WORKLOAD_CHECK(write(nameless, patch + 2 * page, page) == page, "write: errno %d", errno);
    uint64_t *lost = (uint64_t *)(void *)checked(mmap(NULL, page, PROT_READ, MAP_SHARED, nameless, 0));
    uint64_t *copy = (uint64_t *)(void *)checked(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, nameless, 0));
    copy[1] = 77;
    close(nameless);
    WORKLOAD_CALL(unlink("nameless"));
    // Low addresses, /dev/zero, a heap that grew and shrank, many small mappings.
    char *low = mmap((void *)0x10000, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (low != MAP_FAILED) low[5] = 'l';
    int zero = WORKLOAD_CALL(open("/dev/zero", O_RDWR | O_CLOEXEC));
    char *zeros = checked(mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0));
    close(zero);
    zeros[page] = 'z';
    char *heap = sbrk(64 * page);
    heap[63 * page - 1] = 'h';
    WORKLOAD_CHECK(sbrk(-page) != (void *)-1, "sbrk: errno %d", errno);
    char *end = sbrk(0);
    char *field = checked(mmap(NULL, 2 * many * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (int index = 0; index < many; index++) {
        WORKLOAD_CALL(mprotect(field + 2 * index * page, page, PROT_READ | PROT_WRITE));
        field[2 * index * page + 9] = (char)index;
    }
    workload_ready();
    uint64_t step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) private[3 * 512]++;
        for (int index = 0; index < pieces; index++) {
            int protection = protections[index % 4];
            if (protection == PROT_NONE) WORKLOAD_CALL(mprotect(patch + index * page, page, PROT_READ));
            WORKLOAD_CHECK(*(uint64_t *)(void *)(patch + index * page) == workload_number(1, (uint64_t)index), "piece %d differs", index);
            // read(2) into it tells whether it may be written.
            int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
            bool can = read(fd, patch + index * page + 100, 4) > 0;
            close(fd);
            WORKLOAD_CHECK(can == (protection == (PROT_READ | PROT_WRITE)), "piece %d: wrong protection", index);
            if (protection == PROT_NONE) WORKLOAD_CALL(mprotect(patch + index * page, page, PROT_NONE));
        }
        for (uint64_t index = 0; index < 8 * 512; index++) {
            uint64_t expected = workload_number(2, index);
            if (index == 2 * 512) expected = step ? step : expected;
            if (index == 3 * 512) expected = 33;
            if (index == 4 * 512 || index / 512 == 5) expected = 0;
            WORKLOAD_CHECK(private[index] == expected, "word %u of the private mapping differs", (unsigned)index);
        }
        middle[0] = ++step;
        WORKLOAD_CHECK(lost[0] == workload_number(1, 2) && copy[0] == lost[0] && copy[1] == 77, "the nameless file differs");
        WORKLOAD_CHECK(low == MAP_FAILED || low[5] == 'l', "the low page differs");
        WORKLOAD_CHECK(zeros[0] == 0 && zeros[page] == 'z', "the page of /dev/zero differs");
        WORKLOAD_CHECK(sbrk(0) == end && heap[63 * page - 1] == 'h', "the heap differs");
        WORKLOAD_CHECK(sbrk(page) == end && sbrk(-page) == end + page, "the heap cannot grow");
        for (int index = 0; index < many; index++)
            WORKLOAD_CHECK(field[2 * index * page + 9] == (char)index, "field %d differs", index);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
