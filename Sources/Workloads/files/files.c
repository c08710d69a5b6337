// Files in the states that tend to get lost: append, an offset shared by dup and by fork, unlinked while open, a current
// directory below the work directory, umask, limits, descriptors with flags and high numbers.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

enum { record_size = 16, high_descriptor = 211, sparse_units = 64, mask = 027 };

static uint64_t word(uint64_t stream, uint64_t index) { return workload_number(2000 + stream, index); }

static uint64_t read_word(const char *what, int descriptor, off_t at) {
    uint64_t value = 0;
    ssize_t got = pread(descriptor, &value, sizeof value, at);
    WORKLOAD_CHECK(got == sizeof value, "%s: read %zd bytes at %ld, errno %d", what, got, (long)at, errno);
    return value;
}

static void write_word(const char *what, int descriptor, uint64_t value) {
    ssize_t put = write(descriptor, &value, sizeof value);
    WORKLOAD_CHECK(put == sizeof value, "%s: wrote %zd bytes, errno %d", what, put, errno);
}

static off_t offset(int descriptor) { return WORKLOAD_CALL(lseek(descriptor, 0, SEEK_CUR)); }

/// Parent and child speak through the one thing they share: the offset of an open file. Even: the parent's turn.
__attribute__((noreturn)) static void answer(int shared, int quit, pid_t parent) {
    while (getppid() == parent && offset(quit) == 0) {
        off_t now = offset(shared);
        if (now % 2 == 1) WORKLOAD_CALL(lseek(shared, now + 1, SEEK_SET));
        else workload_pause(2);
    }
    _exit(0);
}

static int append, unlinked, shared, duplicate, alone, quit, read_only, directory, high, sparse, renamed;
static off_t read_only_at;
static pid_t child;
static uint64_t appended;
static char subdirectory[PATH_MAX];

static void check_flags(const char *what, int descriptor, int status, int own) {
    int found = WORKLOAD_CALL(fcntl(descriptor, F_GETFL)), found_own = WORKLOAD_CALL(fcntl(descriptor, F_GETFD));
    const int compared = O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECTORY | O_NOATIME | O_SYNC | O_DSYNC;
    WORKLOAD_CHECK((found & compared) == status && found_own == own, "%s: flags %#x and %d instead of %#x and %d", what,
                   found & compared, found_own, status, own);
}

static void check_limit(const char *what, int resource, rlim_t soft, rlim_t hard) {
    struct rlimit limit;
    WORKLOAD_CALL(getrlimit(resource, &limit));
    WORKLOAD_CHECK(limit.rlim_cur == soft && limit.rlim_max == hard, "the limit of %s is %llu of %llu", what,
                   (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}

static void check_directory(void) {
    char now[PATH_MAX];
    WORKLOAD_CHECK(getcwd(now, sizeof now), "getcwd: errno %d", errno);
    for (size_t at = 0; now[at] || subdirectory[at]; at++)
        WORKLOAD_CHECK(now[at] == subdirectory[at], "the current directory is %s", now);
    // A file made by its relative name, with the mode that the umask leaves.
    int made = WORKLOAD_CALL(open("made", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    struct stat facts, by_directory;
    WORKLOAD_CALL(fstat(made, &facts));
    WORKLOAD_CHECK((facts.st_mode & 0777) == (0666 & ~mask), "a new file has mode %o", facts.st_mode & 0777);
    WORKLOAD_CALL(fstatat(directory, "below/made", &by_directory, 0));
    WORKLOAD_CHECK(facts.st_ino == by_directory.st_ino, "the directory's descriptor shows another file");
    WORKLOAD_CALL(unlink("made"));
    close(made);
}

static void check_step(uint64_t step) {
    // Append: wherever the offset is, a write goes to the end.
    WORKLOAD_CALL(lseek(append, (off_t)(step % 100), SEEK_SET));
    write_word("append", append, appended);
    write_word("append", append, word(1, appended));
    appended++;
    WORKLOAD_CHECK(offset(append) == (off_t)(appended * record_size), "the appended file ends at %ld instead of %lu",
                   (long)offset(append), appended * record_size);
    uint64_t back = word(3, step) % appended;
    WORKLOAD_CHECK(read_word("append", append, (off_t)(back * record_size)) == back &&
                       read_word("append", append, (off_t)(back * record_size + 8)) == word(1, back),
                   "record %lu of the appended file is wrong", back);

    // Unlinked: content only this descriptor can reach; a ring of 1000 words.
    WORKLOAD_CALL(lseek(unlinked, (off_t)(step % 1000 * 8), SEEK_SET));
    write_word("unlinked", unlinked, word(4, step % 1000));
    uint64_t other = word(5, step) % 1000;
    uint64_t found = read_word("unlinked", unlinked, (off_t)(other * 8));
    WORKLOAD_CHECK(found == word(4, other), "word %lu of the unlinked file is %lx", other, found);
    struct stat facts;
    WORKLOAD_CALL(fstat(unlinked, &facts));
    WORKLOAD_CHECK(facts.st_nlink == 0 && facts.st_size == 8000, "the unlinked file has %lu links and %ld bytes",
                   facts.st_nlink, facts.st_size);

    // One offset under two descriptors and two processes; a third descriptor of the same file has its own.
    off_t even = (off_t)(step * 2);
    WORKLOAD_CALL(lseek(duplicate, even + 1, SEEK_SET));
    while (offset(shared) == even + 1) {
        WORKLOAD_CHECK(waitpid(child, NULL, WNOHANG) == 0, "the child has gone");
        workload_pause(2);
    }
    WORKLOAD_CHECK(offset(shared) == even + 2 && offset(duplicate) == even + 2 && offset(alone) == 5,
                   "offsets %ld, %ld and %ld instead of %ld twice and 5", (long)offset(shared), (long)offset(duplicate),
                   (long)offset(alone), (long)even + 2);

    WORKLOAD_CHECK(offset(read_only) == read_only_at, "the read-only file is at %ld instead of %ld",
                   (long)offset(read_only), (long)read_only_at);
    WORKLOAD_CHECK(write(read_only, "", 1) == -1 && errno == EBADF, "the read-only file can be written");
    check_flags("append", append, O_RDWR | O_APPEND, FD_CLOEXEC);
    check_flags("shared", shared, O_RDWR, 0);
    check_flags("read-only", read_only, O_RDONLY, 0);
    check_flags("the high descriptor", high, O_WRONLY | O_NONBLOCK, FD_CLOEXEC);
    WORKLOAD_CHECK(write(high, "x", 1) == 1, "/dev/null: errno %d", errno);

    uint64_t hole = word(6, step) % sparse_units;
    WORKLOAD_CHECK(read_word("sparse", sparse, (off_t)hole << 16) == (hole % 16 == 3 ? word(7, hole) : 0),
                   "the sparse file is wrong in unit %lu", hole);
    WORKLOAD_CHECK(read_word("renamed", renamed, 0) == word(8, 0), "the renamed file's content is wrong");

    mode_t current = umask(mask);
    WORKLOAD_CHECK(current == mask, "the umask is %o", current);
    check_limit("open files", RLIMIT_NOFILE, 300, 400);
    check_limit("file size", RLIMIT_FSIZE, 1UL << 30, 1UL << 31);
    check_limit("core size", RLIMIT_CORE, 0, 0);
    WORKLOAD_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs was lost");
    check_directory();
}

static void lower(int resource, rlim_t soft, rlim_t hard) {
    WORKLOAD_CALL(setrlimit(resource, &(struct rlimit){soft, hard}));
}

int main(void) {
    workload_begin();
    umask(mask);
    const char *folder = getenv("CRLAB_WORKLOAD");
    WORKLOAD_CHECK(folder, "CRLAB_WORKLOAD is not set");
    char own_description[PATH_MAX];
    snprintf(own_description, sizeof own_description, "%s/workload.json", folder);

    append = WORKLOAD_CALL(open("append.dat", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    unlinked = WORKLOAD_CALL(open("unlinked.dat", O_RDWR | O_CREAT | O_EXCL, 0600));
    for (uint64_t at = 0; at < 1000; at++) write_word("unlinked", unlinked, word(4, at));
    WORKLOAD_CALL(unlink("unlinked.dat"));
    shared = WORKLOAD_CALL(open("shared.dat", O_RDWR | O_CREAT, 0600));
    duplicate = WORKLOAD_CALL(dup(shared));
    alone = WORKLOAD_CALL(open("shared.dat", O_RDWR));
    WORKLOAD_CALL(lseek(alone, 5, SEEK_SET));
    quit = WORKLOAD_CALL(open("quit.dat", O_RDWR | O_CREAT, 0600));
    read_only = WORKLOAD_CALL(open(own_description, O_RDONLY));
    char start[10];
    WORKLOAD_CHECK(read(read_only, start, sizeof start) == sizeof start, "%s is too short", own_description);
    read_only_at = offset(read_only);
    high = WORKLOAD_CALL(open("/dev/null", O_WRONLY | O_NONBLOCK));
    WORKLOAD_CALL(dup3(high, high_descriptor, O_CLOEXEC));
    close(high);
    high = high_descriptor;
    sparse = WORKLOAD_CALL(open("sparse.dat", O_RDWR | O_CREAT, 0600));
    WORKLOAD_CALL(ftruncate(sparse, (off_t)sparse_units << 16));
    for (uint64_t at = 3; at < sparse_units; at += 16) {
        WORKLOAD_CALL(lseek(sparse, (off_t)at << 16, SEEK_SET));
        write_word("sparse", sparse, word(7, at));
    }
    renamed = WORKLOAD_CALL(open("old-name.dat", O_RDWR | O_CREAT, 0600));
    write_word("renamed", renamed, word(8, 0));
    WORKLOAD_CALL(rename("old-name.dat", "a name with spaces (and brackets).dat"));
    WORKLOAD_CALL(mkdir("sub", 0755));
    WORKLOAD_CALL(mkdir("sub/below", 0755));
    directory = WORKLOAD_CALL(open("sub", O_RDONLY | O_DIRECTORY));
    WORKLOAD_CALL(chdir("sub/below"));
    WORKLOAD_CHECK(getcwd(subdirectory, sizeof subdirectory), "getcwd: errno %d", errno);
    lower(RLIMIT_NOFILE, 300, 400);
    lower(RLIMIT_FSIZE, 1UL << 30, 1UL << 31);
    lower(RLIMIT_CORE, 0, 0);
    WORKLOAD_CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    pid_t parent = getpid();
    child = WORKLOAD_CALL(fork());
    if (child == 0) answer(shared, quit, parent);

    workload_ready();
    for (uint64_t step = 0;; step++) {
        if (workload_break_now()) WORKLOAD_CALL(pwrite(unlinked, "damage", 6, 8 * (off_t)(word(5, step) % 1000)));
        check_step(step);
        workload_progress();
        if (workload_verify_requested()) break;
        workload_pause(8);
    }
    for (uint64_t at = 0; at < appended; at++)
        WORKLOAD_CHECK(read_word("append", append, (off_t)(at * record_size + 8)) == word(1, at),
                       "record %lu of the appended file is wrong", at);
    for (uint64_t at = 0; at < 1000; at++)
        WORKLOAD_CHECK(read_word("unlinked", unlinked, (off_t)at * 8) == word(4, at), "unlinked word %lu is wrong", at);
    WORKLOAD_CALL(lseek(quit, 1, SEEK_SET));
    int status;
    WORKLOAD_CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with %#x", status);
    workload_verified();
}
