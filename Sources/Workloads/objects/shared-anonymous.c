// anonymous shared memory between processes, also where the parent has it no more, named as the kernel names it
// needs: processes
// latches: libc-ifunc
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "workload.h"

enum { bytes = 32 * 4096 };

struct cell {
    volatile uint32_t round, echo, stop;
    volatile uint64_t value;
};

static void check_name(void *start) {
    FILE *file = fopen("/proc/self/maps", "re");
    WORKLOAD_CHECK(file != NULL, "maps: errno %d", errno);
    char line[512];
    bool found = false;
    while (fgets(line, sizeof line, file)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) != 2 || from != (unsigned long)start) continue;
        found = true;
        WORKLOAD_CHECK(strstr(line, " rw-s ") && strstr(line, "/dev/zero (deleted)"), "it shows as %s", line);
    }
    fclose(file);
    WORKLOAD_CHECK(found, "it is not mapped");
}

static void echo(struct cell *cell) {
    WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
    while (!cell->stop) {
        if (cell->round == cell->echo) {
            workload_pause(1);
            continue;
        }
        check_name(cell);
        cell->value = workload_number(3, cell->round);
        cell->echo = cell->round;
    }
    _exit(0);
}

int main(void) {
    workload_begin();
    struct cell *cell = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    // Siblings share this one; their parent lets it go.
    struct cell *aside = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(cell != MAP_FAILED && aside != MAP_FAILED, "mmap: errno %d", errno);
    uint64_t *content = (uint64_t *)((char *)cell + 4096);
    for (int index = 0; index < 31 * 512; index += 3) content[index] = workload_number(1, index);
    pid_t first = WORKLOAD_CALL(fork());
    if (first == 0) echo(aside);
    pid_t second = WORKLOAD_CALL(fork());
    if (second == 0) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        // Asks its sibling, then answers.
        while (!cell->stop) {
            if (cell->round == cell->echo) {
                workload_pause(1);
                continue;
            }
            aside->round = cell->round;
            for (unsigned turn = 0; aside->echo != aside->round; turn++) {
                WORKLOAD_CHECK(turn < 20000, "the sibling does not answer");
                workload_pause(1);
            }
            cell->value = aside->value;
            cell->echo = cell->round;
        }
        aside->stop = 1;
        _exit(0);
    }
    WORKLOAD_CALL(munmap(aside, bytes));
    workload_ready();
    uint32_t round = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) content[6]++;
        check_name(cell);
        cell->round = ++round;
        for (unsigned turn = 0; cell->echo != round; turn++) {
            WORKLOAD_CHECK(turn < 20000, "the child does not answer");
            workload_pause(1);
        }
        WORKLOAD_CHECK(cell->value == workload_number(3, round), "round %u: another answer", round);
        for (int index = 0; index < 31 * 512; index++)
            WORKLOAD_CHECK(content[index] == (index % 3 ? 0 : workload_number(1, index)), "word %d differs", index);
        workload_progress();
    }
    cell->stop = 1;
    WORKLOAD_CALL(waitpid(first, NULL, 0));
    WORKLOAD_CALL(waitpid(second, NULL, 0));
    workload_verified();
}
