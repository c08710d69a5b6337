// a working directory that was removed, with a removed folder and an unlinked file in it
// needs: files
#include <sys/stat.h>

#include "workload.h"

int main(void) {
    workload_begin();
    WORKLOAD_CALL(mkdir("gone", 0751));
    WORKLOAD_CALL(chmod("gone", 0751));
    WORKLOAD_CALL(mkdir("gone/inner", 0700));
    int inner = WORKLOAD_CALL(open("gone/inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int file = WORKLOAD_CALL(open("gone/inner/file", O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    WORKLOAD_CALL(pwrite(file, "kept", 4, 0));
    WORKLOAD_CALL(chdir("gone"));
    WORKLOAD_CALL(unlink("inner/file"));
    WORKLOAD_CALL(rmdir("inner"));
    WORKLOAD_CALL(rmdir("../gone"));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(chdir("/"));
        char path[PATH_MAX], content[4];
        WORKLOAD_CHECK(!getcwd(path, sizeof path) && errno == ENOENT, "the working directory has a path");
        WORKLOAD_CHECK(open("new", O_WRONLY | O_CREAT, 0600) < 0 && errno == ENOENT, "a file in it: errno %d", errno);
        struct stat here, there;
        WORKLOAD_CALL(stat(".", &here));
        WORKLOAD_CHECK((here.st_mode & 07777) == 0751, "its mode became 0%o", here.st_mode);
        WORKLOAD_CALL(fstat(inner, &there));
        WORKLOAD_CHECK(S_ISDIR(there.st_mode) && there.st_ino != here.st_ino, "the inner folder is not itself");
        WORKLOAD_CHECK(openat(inner, "x", O_CREAT, 0600) < 0 && errno == ENOENT, "inner folder: errno %d", errno);
        WORKLOAD_CHECK(pread(file, content, 4, 0) == 4 && content[0] == 'k' && content[3] == 't', "content is lost");
        WORKLOAD_CALL(fstat(file, &there));
        WORKLOAD_CHECK(there.st_nlink == 0 && (there.st_mode & 07777) == 0640, "links or mode of the file changed");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
