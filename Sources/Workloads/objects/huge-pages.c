// explicit huge pages (private, shared, memfd, System V) where the host has free ones, and transparent ones
// needs: memory
// latches: libc-ifunc
#include <linux/memfd.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "workload.h"

enum { huge = 2 << 20, kinds = 5 };

static uint64_t *memory[kinds];
static const char *const names[kinds] = {"private", "shared", "memfd", "System V", "transparent"};
static int segment = -1;

/// A number of /proc/meminfo or smaps, in KiB; of the mapping at `start` when that is given.
static long look(const char *path, const char *key, void *start) {
    FILE *file = fopen(path, "re");
    WORKLOAD_CHECK(file != NULL, "%s: errno %d", path, errno);
    char line[512];
    bool inside = start == NULL;
    long value = -1;
    while (value < 0 && fgets(line, sizeof line, file)) {
        unsigned long from, to;
        if (start && sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = from == (unsigned long)start;
        size_t length = strlen(key);
        if (inside && strncmp(line, key, length) == 0) value = atol(line + length);
    }
    fclose(file);
    return value;
}

static uint64_t *checked(void *start) { return start == MAP_FAILED || start == (void *)-1 ? NULL : start; }

static uint64_t expected(int kind, int index) { return index % 5 ? workload_number((uint64_t)kind, (uint64_t)index) : 0; }

int main(void) {
    workload_begin();
    int flags = MAP_ANONYMOUS | MAP_HUGETLB | 21 << 26;
    // 2 + 1 + 1 + 1 pages; a host that has too few gives the workload less to hold.
    if (look("/proc/meminfo", "HugePages_Free:", NULL) >= 6) {
        memory[0] = checked(mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, -1, 0));
        memory[1] = checked(mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED | flags, -1, 0));
        int descriptor = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | 21 << 26);
        if (descriptor >= 0 && ftruncate(descriptor, huge) == 0)
            memory[2] = checked(mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0));
        segment = shmget(IPC_PRIVATE, huge, IPC_CREAT | SHM_HUGETLB | 0600);
        if (segment >= 0) {
            memory[3] = checked(shmat(segment, NULL, 0));
            WORKLOAD_CALL(shmctl(segment, IPC_RMID, NULL));
        }
    }
    char *room = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(room != MAP_FAILED, "mmap: errno %d", errno);
    memory[4] = (uint64_t *)(void *)(room + huge - (uintptr_t)room % huge);
    WORKLOAD_CALL(munmap(room, (size_t)((char *)memory[4] - room)));
    WORKLOAD_CALL(munmap((char *)memory[4] + huge, (size_t)(room + 2 * huge - (char *)memory[4])));
    madvise(memory[4], huge, MADV_HUGEPAGE);
    for (int kind = 0; kind < kinds; kind++)
        for (int index = 0; memory[kind] && index < huge / 4096; index++) memory[kind][index * 512 + 3] = expected(kind, index);
    bool transparent = look("/proc/self/smaps", "AnonHugePages:", memory[4]) > 0;
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) memory[4][3 + 512]++;
        for (int kind = 0; kind < kinds; kind++) {
            for (int index = 0; memory[kind] && index < huge / 4096; index++)
                WORKLOAD_CHECK(memory[kind][index * 512 + 3] == expected(kind, index), "%s: page %d differs", names[kind], index);
            if (!memory[kind]) continue;
            long size = look("/proc/self/smaps", "KernelPageSize:", memory[kind]);
            WORKLOAD_CHECK(size == (kind == 4 ? 4 : 2048), "%s: its pages have %ld KiB", names[kind], size);
        }
        // What was reserved and never used is there at the first use.
        if (memory[0]) memory[0][huge / 8]++;
        if (transparent)
            WORKLOAD_CHECK(look("/proc/self/smaps", "AnonHugePages:", memory[4]) > 0, "its pages are small now");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
