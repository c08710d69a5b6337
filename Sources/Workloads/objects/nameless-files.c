// a file that was made without a name and gets one late, a removed file with extended attributes
// needs: files
#include <sys/stat.h>
#include <sys/xattr.h>

#include "workload.h"

static const char value[] = "a value";

int main(void) {
    workload_begin();
    // Not every file system has files without names, or attributes.
    int nameless = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
    if (nameless >= 0) WORKLOAD_CALL(pwrite(nameless, "content", 7, 4096));
    int removed = WORKLOAD_CALL(open("attributed", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(unlink("attributed"));
    bool has_attributes = fsetxattr(removed, "user.crlab", value, sizeof value, 0) == 0;
    workload_ready();
    for (;;) {
        bool last = workload_verify_requested();
        if (workload_break_now()) {
            WORKLOAD_CALL(ftruncate(removed, 1));
            if (has_attributes) WORKLOAD_CALL(fremovexattr(removed, "user.crlab"));
        }
        char found[sizeof value + 1];
        if (has_attributes)
            WORKLOAD_CHECK(fgetxattr(removed, "user.crlab", found, sizeof found) == sizeof value
                               && found[0] == 'a' && found[6] == 'e',
                           "the removed file has lost its attribute");
        struct stat status;
        WORKLOAD_CALL(fstat(removed, &status));
        WORKLOAD_CHECK(status.st_size == 0 && status.st_nlink == 0, "the removed file has %ld bytes, %ld names",
                       (long)status.st_size, (long)status.st_nlink);
        if (nameless >= 0) {
            char path[64], text[7];
            WORKLOAD_CHECK(pread(nameless, text, 7, 4096) == 7 && text[6] == 't', "the nameless file has lost its content");
            snprintf(path, sizeof path, "/proc/self/fd/%d", nameless);
            // Once it has had a name it cannot get another: only the last step may try.
            if (last) {
                WORKLOAD_CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "late-name", AT_SYMLINK_FOLLOW) == 0,
                               "the nameless file cannot get a name: errno %d", errno);
                WORKLOAD_CALL(fstat(nameless, &status));
                WORKLOAD_CHECK(status.st_nlink == 1 && status.st_size == 4103 && (status.st_mode & 0777) == 0640,
                               "the named file: %ld names, %ld bytes, mode %o", (long)status.st_nlink,
                               (long)status.st_size, status.st_mode);
            }
        }
        workload_progress();
        if (last) workload_verified();
        workload_pause(5);
    }
}
