// a child with mounts of its own: files, a mapping and a working directory that its parent cannot see
// needs: namespaces root files
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

enum { PAGE = 4096, HIDDEN = 5 };

/// In memory that both processes share.
static struct shared {
    volatile uint64_t asked, answered;
    volatile bool breaks;
} *shared;

/// The mount that an open file is on. fdinfo would say it too, but a descriptor of fdinfo is not carried.
static int mount_of(int fd) {
    struct statx status;
    WORKLOAD_CALL(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status));
    WORKLOAD_CHECK(status.stx_mask & STATX_MNT_ID, "statx does not tell the mount");
    return (int)status.stx_mnt_id;
}

static int mount_at(const char *path) {
    int fd = WORKLOAD_CALL(open(path, O_PATH | O_CLOEXEC));
    int number = mount_of(fd);
    close(fd);
    return number;
}

static void check(int hidden, int plain, const char *folder, volatile uint32_t *mapped) {
    char text[HIDDEN + 1] = {0};
    WORKLOAD_CHECK(pread(hidden, text, HIDDEN, 0) == HIDDEN, "the hidden file: errno %d", errno);
    for (int i = 0; i < HIDDEN; i++) WORKLOAD_CHECK(text[i] == "inner"[i], "the hidden file holds '%s'", text);
    struct stat here, below, file;
    WORKLOAD_CALL(stat(".", &here));
    WORKLOAD_CALL(stat(folder, &below));
    WORKLOAD_CHECK(here.st_dev == below.st_dev && here.st_ino == below.st_ino, "the working directory is another");
    WORKLOAD_CALL(fstat(hidden, &file));
    WORKLOAD_CHECK(file.st_dev == below.st_dev, "the hidden file is on another file system");
    int inner = mount_at("."), outer = mount_at("/");
    WORKLOAD_CHECK(mount_of(hidden) == inner, "the hidden file is on mount %d, not %d", mount_of(hidden), inner);
    WORKLOAD_CHECK(mount_of(plain) == outer, "the plain file is on mount %d, not %d", mount_of(plain), outer);
    WORKLOAD_CHECK(mapped[0] == 0x6e6e6966, "the mapping holds 0x%x", mapped[0]);
}

__attribute__((noreturn)) static void run(const char *folder, pid_t parent) {
    WORKLOAD_CALL(unshare(CLONE_NEWNS));
    WORKLOAD_CALL(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    WORKLOAD_CALL(mount("nested", folder, "tmpfs", 0, "size=1m"));
    WORKLOAD_CALL(chdir(folder));
    int hidden = WORKLOAD_CALL(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(pwrite(hidden, "inner", HIDDEN, 0));
    int map = WORKLOAD_CALL(open("map", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(ftruncate(map, PAGE * 4));
    WORKLOAD_CALL(pwrite(map, "finn", 4, 0));
    volatile uint32_t *mapped = WORKLOAD_CALL(mmap(NULL, PAGE * 4, PROT_READ, MAP_PRIVATE, map, 0));
    close(map);
    int plain = WORKLOAD_CALL(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (kill(parent, 0) == 0) {
        if (shared->breaks) WORKLOAD_CALL(pwrite(hidden, "outer", HIDDEN, 0));
        check(hidden, plain, folder, mapped);
        shared->answered = shared->asked;
        workload_pause(3);
    }
    _exit(0);
}

int main(void) {
    workload_begin();
    shared = WORKLOAD_CALL(mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    char folder[PATH_MAX];
    WORKLOAD_CHECK(getcwd(folder, sizeof folder - 8) != NULL, "getcwd: errno %d", errno);
    size_t length = 0;
    while (folder[length]) length++;
    workload_append(folder, length, sizeof folder, "/nested");
    WORKLOAD_CALL(mkdir(folder, 0755) < 0 && errno != EEXIST ? -1 : 0);
    pid_t parent = getpid(), child = WORKLOAD_CALL(fork());
    if (child == 0) run(folder, parent);
    // A tree of more than three processes is dumped by several threads, which mount namespaces must not hinder.
    for (int index = 0; index < 2; index++)
        if (WORKLOAD_CALL(fork()) == 0) {
            WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
            for (;;) pause();
        }
    bool isReady = false;
    while (!workload_verify_requested()) {
        shared->asked++;
        for (int left = 4000; shared->answered != shared->asked; left--) {
            WORKLOAD_CHECK(left > 0 && waitpid(child, NULL, WNOHANG) == 0, "the child does not answer");
            workload_pause(3);
        }
        if (!isReady) workload_ready();
        isReady = true;
        WORKLOAD_CHECK(access("nested/file", F_OK) < 0, "the parent sees the child's file");
        if (workload_break_now()) shared->breaks = true;
        workload_progress();
        workload_pause(5);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    workload_verified();
}
