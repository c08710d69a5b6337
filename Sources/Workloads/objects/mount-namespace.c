// A mount namespace: tmpfs with content, a bind mount of a part of it, one mounted over another, a read-only one
// needs: namespaces root
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "workload.h"

enum { LARGE = 300000 };

static void write_file(const char *path, const char *text, size_t length) {
    int file = WORKLOAD_CALL(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    WORKLOAD_CHECK(write(file, text, length) == (ssize_t)length, "%s: errno %d", path, errno);
    close(file);
}

static void check_file(const char *path, const char *text, size_t length) {
    char buffer[4096];
    size_t at = 0;
    int file = WORKLOAD_CALL(open(path, O_RDONLY | O_CLOEXEC));
    for (ssize_t got; (got = WORKLOAD_CALL(read(file, buffer, sizeof buffer))) > 0; at += (size_t)got)
        for (ssize_t each = 0; each < got; each++)
            WORKLOAD_CHECK(at + (size_t)each < length && buffer[each] == text[at + (size_t)each], "%s differs", path);
    WORKLOAD_CHECK(at == length, "%s has %zu bytes", path, at);
    close(file);
}

static struct stat status(const char *path) {
    struct stat status;
    WORKLOAD_CALL(lstat(path, &status));
    return status;
}

int main(void) {
    static char large[LARGE];
    workload_begin();
    for (size_t at = 0; at < LARGE; at++) large[at] = (char)workload_number(1, at / 64);
    WORKLOAD_CALL(unshare(CLONE_NEWNS));
    WORKLOAD_CALL(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    WORKLOAD_CALL(mkdir("mounts", 0755));
    WORKLOAD_CALL(mount("tests", "mounts", "tmpfs", MS_NOSUID, "size=8m,mode=711"));
    WORKLOAD_CALL(chdir("mounts"));
    WORKLOAD_CALL(mkdir("folder", 0750));
    write_file("folder/small", "hidden below", 12);
    write_file("large", large, LARGE);
    WORKLOAD_CALL(chown("large", 12, 34));
    WORKLOAD_CALL(link("large", "folder/same"));
    WORKLOAD_CALL(symlink("folder/small", "link"));
    WORKLOAD_CALL(mkfifo("fifo", 0604));
    WORKLOAD_CALL(mkdir("bound", 0755));
    WORKLOAD_CALL(mkdir("read-only", 0755));
    WORKLOAD_CALL(mount("folder", "bound", NULL, MS_BIND, NULL));
    WORKLOAD_CALL(mount("folder", "read-only", NULL, MS_BIND, NULL));
    WORKLOAD_CALL(mount(NULL, "read-only", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
    WORKLOAD_CALL(mount("above", "folder", "tmpfs", 0, "size=1m"));
    write_file("folder/above", "above", 5);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(umount("folder"));
        check_file("folder/above", "above", 5);
        check_file("bound/small", "hidden below", 12);
        check_file("bound/same", large, LARGE);
        struct stat file = status("large");
        WORKLOAD_CHECK(file.st_uid == 12 && file.st_gid == 34 && file.st_nlink == 2, "owner or links of large");
        WORKLOAD_CHECK(file.st_ino == status("bound/same").st_ino, "two names became two files");
        WORKLOAD_CHECK(status("fifo").st_mode == (S_IFIFO | 0604), "mode of the FIFO");
        WORKLOAD_CHECK(S_ISLNK(status("link").st_mode), "the link");
        WORKLOAD_CHECK((status(".").st_mode & 0777) == 0711, "mode of the root");
        WORKLOAD_CHECK(status("folder").st_dev != file.st_dev, "nothing is mounted on the folder");
        WORKLOAD_CHECK(status("bound").st_dev == file.st_dev, "another file system is bound");
        WORKLOAD_CHECK(open("read-only/new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS, "it can be written");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
