// copy-on-write pages that a parent, its children and a grandchild share, and those that they have changed
// needs: processes
// latches: libc-ifunc
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "workload.h"

enum { pages = 256, page = 4096 };

// One value per page and generation; the memory itself is the message.
struct board {
    volatile uint32_t round;
    volatile uint32_t seen[3];
    volatile uint32_t stop;
};

static uint64_t *region, *late;
static struct board *board;

static void fill(uint64_t *memory, unsigned from, unsigned to, uint64_t stream) {
    for (unsigned index = from; index < to; index++) memory[index * 512 + 7] = workload_number(stream, index);
}

static void check(uint64_t *memory, unsigned from, unsigned to, uint64_t stream) {
    for (unsigned index = from; index < to; index++)
        WORKLOAD_CHECK(
            memory[index * 512 + 7] == workload_number(stream, index), "page %u of stream %u differs", index, (unsigned)stream);
}

/// How many KiB of the mapping at `start` are shared with others, by /proc/self/smaps.
static long shared_kibibytes(void *start) {
    FILE *file = fopen("/proc/self/smaps", "re");
    WORKLOAD_CHECK(file != NULL, "smaps: errno %d", errno);
    char line[512];
    bool inside = false;
    long sum = 0, value;
    while (fgets(line, sizeof line, file)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = from <= (unsigned long)start && (unsigned long)start < to;
        if (inside && (sscanf(line, "Shared_Clean: %ld", &value) == 1 || sscanf(line, "Shared_Dirty: %ld", &value) == 1))
            sum += value;
    }
    fclose(file);
    return sum;
}

static void child(unsigned number) {
    WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
    // The first quarter stays the parent's; the rest is different in each.
    if (number == 1) {
        fill(region, 64, 128, 11);
        WORKLOAD_CALL(madvise(region + 200 * 512, 8 * page, MADV_DONTNEED));
        WORKLOAD_CALL(mprotect(region + 210 * 512, 4 * page, PROT_READ));
    } else if (number == 2) {
        fill(region, 64, 128, 12);
        WORKLOAD_CALL(munmap(region + 220 * 512, 4 * page));
    }
    uint32_t last = 0;
    board->seen[number] = 1;
    while (!board->stop) {
        if (board->round == last) {
            workload_pause(1);
            continue;
        }
        last = board->round;
        check(region, 0, 64, 1);
        check(region, 64, 128, 10 + number);
        check(region, 128, 192, 1);
        for (unsigned index = 200; number == 1 && index < 208; index++)
            WORKLOAD_CHECK(region[index * 512 + 7] == 0, "page %u came back", index);
        WORKLOAD_CHECK(shared_kibibytes(region) >= 120 * 4, "%ld KiB are shared", shared_kibibytes(region));
        board->seen[number] = last;
    }
    _exit(0);
}

int main(void) {
    workload_begin();
    board = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    region = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    late = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(board != MAP_FAILED && region != MAP_FAILED && late != MAP_FAILED, "mmap: errno %d", errno);
    WORKLOAD_CALL(madvise(region, pages * page, MADV_NOHUGEPAGE));
    fill(region, 0, pages, 1);
    pid_t first = WORKLOAD_CALL(fork());
    if (first == 0) {
        // A grandchild shares the first quarter with both, and the second with its parent alone.
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        fill(region, 64, 128, 11);
        pid_t grandchild = WORKLOAD_CALL(fork());
        if (grandchild == 0) {
            fill(region, 64, 128, 10);
            child(0);
        }
        child(1);
    }
    pid_t second = WORKLOAD_CALL(fork());
    if (second == 0) child(2);
    // What the parent writes after the fork is its own.
    fill(region, 192, pages, 4);
    fill(late, 0, 16, 5);
    while (!board->seen[0] || !board->seen[1] || !board->seen[2]) workload_pause(1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) region[3 * 512 + 7]++;
        uint32_t round = ++board->round;
        check(region, 0, 192, 1);
        check(region, 192, pages, 4);
        check(late, 0, 16, 5);
        WORKLOAD_CHECK(shared_kibibytes(region) >= 120 * 4, "%ld KiB are shared", shared_kibibytes(region));
        for (unsigned number = 0; number < 3; number++)
            for (unsigned turn = 0; board->seen[number] != round; turn++) {
                WORKLOAD_CHECK(turn < 20000, "child %u does not answer", number);
                workload_pause(1);
            }
        workload_progress();
    }
    board->stop = 1;
    WORKLOAD_CALL(waitpid(first, NULL, 0));
    WORKLOAD_CALL(waitpid(second, NULL, 0));
    workload_verified();
}
