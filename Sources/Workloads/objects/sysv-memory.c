// System V shared memory: attached twice, read-only, in part, by a child, removed, attached by nobody, of an odd size
// needs: ipc
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>

#include "workload.h"

enum { odd = 5 * 4096 + 904, page = 4096 };

static int ids[3];
static key_t key;

static void fill(char *memory, unsigned stream) {
    for (int index = 0; index < odd; index++) memory[index] = (char)workload_number(stream, index);
}

static void check(const char *memory, unsigned stream, int from, int to) {
    for (int index = from; index < to; index++)
        WORKLOAD_CHECK(memory[index] == (char)workload_number(stream, index), "segment %u differs at %d", stream, index);
}

static struct shmid_ds status(int id) {
    struct shmid_ds status;
    WORKLOAD_CALL(shmctl(id, IPC_STAT, &status));
    return status;
}

static char *attach(int id, int flags) {
    char *memory = shmat(id, NULL, flags);
    WORKLOAD_CHECK(memory != (char *)-1, "shmat: errno %d", errno);
    return memory;
}

static void finish(void) {
    for (int index = 0; index < 3; index++) shmctl(ids[index], IPC_RMID, NULL);
}

int main(void) {
    workload_begin();
    // Any key that nobody has; the segment keeps it.
    for (key = (key_t)(0x43520000 + getpid() % 0xffff); (ids[0] = shmget(key, odd, IPC_CREAT | IPC_EXCL | 0640)) < 0; key++)
        WORKLOAD_CHECK(errno == EEXIST, "shmget: errno %d", errno);
    ids[1] = WORKLOAD_CALL(shmget(IPC_PRIVATE, odd, IPC_CREAT | 0600));
    ids[2] = WORKLOAD_CALL(shmget(IPC_PRIVATE, odd, IPC_CREAT | 0606));
    char *memory = attach(ids[0], 0);
    fill(memory, 0);
    char *again = attach(ids[0], SHM_RDONLY);
    // One attachment in three pieces and a hole.
    char *parts = attach(ids[0], 0);
    WORKLOAD_CALL(mprotect(parts + page, page, PROT_READ));
    WORKLOAD_CALL(munmap(parts + 3 * page, page));
    char *removed = attach(ids[1], 0);
    fill(removed, 1);
    char *aside = attach(ids[2], 0);
    fill(aside, 2);
    WORKLOAD_CALL(shmdt(aside));
    // The child's first answer will be another one than what is there.
    char unanswered = removed[odd - 1];
    memory[odd - 2] = (char)~unanswered;
    pid_t child = WORKLOAD_CALL(fork());
    if (child == 0) {
        WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
        // The child has two of its own, and not the parent's.
        WORKLOAD_CALL(shmdt(again));
        char *own = attach(ids[0], 0);
        for (;;) {
            removed[odd - 1] = own[odd - 2];
            workload_pause(1);
        }
    }
    WORKLOAD_CALL(shmctl(ids[1], IPC_RMID, NULL));
    // Not everybody may; the mode says whether it was done.
    shmctl(ids[2], SHM_LOCK, NULL);
    // It answers once it has exchanged its attachments.
    for (int turn = 0; ((volatile char *)removed)[odd - 1] == unanswered; turn++) {
        WORKLOAD_CHECK(turn < 20000, "the child does not answer");
        workload_pause(1);
    }
    struct shmid_ds before[3];
    for (int index = 0; index < 3; index++) before[index] = status(ids[index]);
    workload_ready();
    unsigned step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) memory[77]++;
        check(memory, 0, 0, odd - 2);
        check(again, 0, 0, odd - 2);
        check(parts, 0, 0, 3 * page);
        check(parts, 0, 4 * page, odd - 2);
        check(removed, 1, 0, odd - 1);
        char *found = attach(ids[2], SHM_RDONLY);
        check(found, 2, 0, odd);
        WORKLOAD_CALL(shmdt(found));
        WORKLOAD_CHECK(shmget(key, odd, 0) == ids[0], "the key leads elsewhere");
        for (int index = 0; index < 3; index++) {
            struct shmid_ds now = status(ids[index]);
            WORKLOAD_CHECK(now.shm_segsz == before[index].shm_segsz, "segment %d has another size", index);
            WORKLOAD_CHECK(now.shm_nattch == before[index].shm_nattch, "segment %d is attached %lu times, not %lu", index,
                (unsigned long)now.shm_nattch, (unsigned long)before[index].shm_nattch);
            WORKLOAD_CHECK(now.shm_perm.mode == before[index].shm_perm.mode, "segment %d has mode %o", index, now.shm_perm.mode);
            WORKLOAD_CHECK(
                now.shm_perm.uid == before[index].shm_perm.uid && now.shm_perm.cuid == before[index].shm_perm.cuid,
                "segment %d has another owner", index);
        }
        memory[odd - 2] = (char)++step;
        for (int turn = 0; ((volatile char *)removed)[odd - 1] != (char)step; turn++) {
            WORKLOAD_CHECK(turn < 20000, "the child does not see it");
            workload_pause(1);
        }
        workload_progress();
    }
    // One call takes all pieces of an attachment away.
    WORKLOAD_CALL(shmdt(parts));
    unsigned char resident[6];
    for (int index = 0; index < 6; index++)
        WORKLOAD_CHECK(mincore(parts + index * page, page, resident) < 0, "piece %d is still there", index);
    WORKLOAD_CALL(kill(child, SIGKILL));
    WORKLOAD_CALL(waitpid(child, NULL, 0));
    finish();
    workload_verified();
}
