// marks of madvise, mlock and mlockall, names and protections, as /proc/self/smaps shows them
// needs: memory
// latches: libc-ifunc
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "workload.h"

enum { count = 14, bytes = 4 * 4096 };

static char *ranges[count];
static char before[count][160];

/// The line of flags of a range, as one reading shows it; only those that a program can set.
static void read_flags(char *start, char *into, size_t capacity) {
    FILE *file = fopen("/proc/self/smaps", "re");
    WORKLOAD_CHECK(file != NULL, "smaps: errno %d", errno);
    char line[512];
    bool inside = false;
    size_t length = 0;
    into[0] = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned long from, to;
        char protection[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, protection) == 3) {
            inside = from == (unsigned long)start;
            if (inside) {
                if (to - from != bytes) length = workload_append(into, length, capacity, "of another size ");
                length = workload_append(into, length, capacity, protection);
                const char *name = strchr(line, '[');
                if (name) length = workload_append(into, length, capacity, name);
            }
        }
        if (!inside || strncmp(line, "VmFlags:", 8) != 0) continue;
        for (char *word = strtok(line + 8, " \n"); word; word = strtok(NULL, " \n")) {
            // Soft-dirty and accounting come and go.
            if (strcmp(word, "sd") == 0 || strcmp(word, "ac") == 0) continue;
            length = workload_append(into, length, capacity, " ");
            // Lock on fault; older kernels have no name for it.
            length = workload_append(into, length, capacity, strcmp(word, "??") == 0 ? "lf" : word);
        }
    }
    fclose(file);
}

/// What two readings in a row agree upon. One takes many calls, and places in the file are counted in bytes: one that
/// begins under one kernel and ends under another, whose smaps has further lines, sees a range twice or not at all.
static void flags(char *start, char *into, size_t capacity) {
    char again[160];
    int turn = 0;
    do {
        read_flags(start, again, sizeof again);
        read_flags(start, into, capacity);
        WORKLOAD_CHECK(++turn < 100, "no two readings agree: %s, %s", again, into);
    } while (strcmp(again, into) != 0);
}

static char *map(int protection, int more) {
    // A hole behind each, or the kernel would join them.
    char *start = mmap(NULL, bytes + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    WORKLOAD_CHECK(start != MAP_FAILED, "mmap: errno %d", errno);
    WORKLOAD_CALL(munmap(start + bytes, 4096));
    start = mmap(start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | more, -1, 0);
    WORKLOAD_CHECK(start != MAP_FAILED, "mmap: errno %d", errno);
    return start;
}

int main(void) {
    workload_begin();
    static const int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
        MADV_SEQUENTIAL, MADV_RANDOM, MADV_MERGEABLE};
    int used = 0;
    // Not every kernel has each of them; what it refuses stays unmarked.
    for (unsigned index = 0; index < sizeof advice / sizeof *advice; index++) {
        ranges[used] = map(PROT_READ | PROT_WRITE, 0);
        madvise(ranges[used++], bytes, advice[index]);
    }
    ranges[used] = map(PROT_READ | PROT_WRITE, 0);
    mlock(ranges[used++], bytes);
    ranges[used] = map(PROT_READ | PROT_WRITE, 0);
    mlock2(ranges[used++], bytes, MLOCK_ONFAULT);
    ranges[used++] = map(PROT_READ | PROT_WRITE, MAP_NORESERVE);
    ranges[used] = map(PROT_READ | PROT_WRITE, 0);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, ranges[used++], bytes, "a name");
    // Content that its owner may not read, and code that it may not write.
    for (int protection = PROT_NONE; protection <= PROT_EXEC; protection += PROT_EXEC) {
        ranges[used] = map(PROT_READ | PROT_WRITE, 0);
        for (int index = 0; index < bytes; index++) ranges[used][index] = (char)workload_number(used, index);
        WORKLOAD_CALL(mprotect(ranges[used++], bytes, protection == PROT_NONE ? PROT_NONE : PROT_READ | PROT_EXEC));
    }
    for (int index = 0; index < count; index++) flags(ranges[index], before[index], sizeof before[index]);
    // From now on every new mapping is locked when it is used.
    bool locks = mlockall(MCL_FUTURE | MCL_ONFAULT) == 0;
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(madvise(ranges[1], bytes, MADV_DODUMP));
        for (int index = 0; index < count; index++) {
            char now[160];
            flags(ranges[index], now, sizeof now);
            WORKLOAD_CHECK(strcmp(now, before[index]) == 0, "range %d was %s, is %s", index, before[index], now);
        }
        for (int index = count - 2; index < count; index++) {
            char now[160];
            WORKLOAD_CALL(mprotect(ranges[index], bytes, PROT_READ));
            for (int offset = 0; offset < bytes; offset++)
                WORKLOAD_CHECK(ranges[index][offset] == (char)workload_number(index, offset), "range %d differs", index);
            WORKLOAD_CALL(mprotect(ranges[index], bytes, index == count - 2 ? PROT_NONE : PROT_READ | PROT_EXEC));
            flags(ranges[index], now, sizeof now);
        }
        char *fresh = map(PROT_READ | PROT_WRITE, 0);
        char now[160];
        flags(fresh, now, sizeof now);
        WORKLOAD_CHECK((strstr(now, " lo") != NULL) == locks, "new memory is %s", now);
        WORKLOAD_CALL(munmap(fresh, bytes));
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
