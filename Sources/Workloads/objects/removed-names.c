// names that were removed or replaced: of a file with another link, a sparse file, a FIFO with content, a symbolic link
// needs: files, pipes
#include <sys/stat.h>

#include "workload.h"

static void expect(int descriptor, off_t at, const char *text, const char *what) {
    for (size_t index = 0; text[index]; index++) {
        char byte = 0;
        WORKLOAD_CHECK(
            pread(descriptor, &byte, 1, at + (off_t)index) == 1 && byte == text[index], "%s: byte %zu is %d", what,
            index, byte);
    }
}

int main(void) {
    workload_begin();
    int linked = WORKLOAD_CALL(open("first-name", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    WORKLOAD_CALL(link("first-name", "second-name"));
    WORKLOAD_CALL(unlink("first-name"));

    int replaced = WORKLOAD_CALL(open("replaced", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(pwrite(replaced, "old", 3, 0));
    int newer = WORKLOAD_CALL(open("replacement", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    WORKLOAD_CALL(pwrite(newer, "new", 3, 0));
    WORKLOAD_CALL(rename("replacement", "replaced"));

    const off_t middle = 1 << 24;
    int sparse = WORKLOAD_CALL(open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(pwrite(sparse, "middle", 6, middle));
    WORKLOAD_CALL(ftruncate(sparse, 3 * middle));
    int sparse_reader = WORKLOAD_CALL(open("sparse", O_RDONLY | O_CLOEXEC));
    WORKLOAD_CALL(unlink("sparse"));
    struct timespec times[2] = {{1000, 1}, {2000, 2}};
    WORKLOAD_CALL(futimens(sparse, times));

    WORKLOAD_CALL(mkfifo("fifo", 0600));
    int fifo = WORKLOAD_CALL(open("fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    int fifo_reader = WORKLOAD_CALL(open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    WORKLOAD_CALL(write(fifo, "0", 1));
    WORKLOAD_CALL(unlink("fifo"));

    WORKLOAD_CALL(symlink("somewhere", "link"));
    int link_itself = WORKLOAD_CALL(open("link", O_PATH | O_NOFOLLOW | O_CLOEXEC));
    WORKLOAD_CALL(unlink("link"));

    struct stat before, now;
    workload_ready();
    char count = '0';
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(ftruncate(sparse, 5));
        // Through either link the same file.
        int second = WORKLOAD_CALL(open("second-name", O_RDWR | O_CLOEXEC));
        WORKLOAD_CALL(fstat(linked, &before));
        WORKLOAD_CALL(fstat(second, &now));
        WORKLOAD_CHECK(before.st_ino == now.st_ino && now.st_nlink == 1, "the links parted: %lu links", now.st_nlink);
        char digit = count == '9' ? '0' : (char)(count + 1);
        WORKLOAD_CALL(pwrite(linked, &digit, 1, 0));
        char byte = 0;
        WORKLOAD_CHECK(pread(second, &byte, 1, 0) == 1 && byte == digit, "a write does not reach the other link");
        WORKLOAD_CALL(close(second));

        expect(replaced, 0, "old", "the replaced file");
        expect(newer, 0, "new", "the file that took its place");
        expect(sparse_reader, middle, "middle", "the sparse file");
        WORKLOAD_CALL(fstat(sparse, &now));
        WORKLOAD_CHECK(now.st_size == 3 * middle && now.st_blocks < 256, "%ld blocks", (long)now.st_blocks);
        WORKLOAD_CHECK(
            now.st_mtim.tv_sec == 2000 && now.st_mtim.tv_nsec == 2, "changed at %ld", (long)now.st_mtim.tv_sec);
        WORKLOAD_CALL(fstat(sparse_reader, &before));
        WORKLOAD_CHECK(before.st_ino == now.st_ino, "the sparse file parted");

        WORKLOAD_CHECK(read(fifo_reader, &byte, 1) == 1 && byte == count, "the FIFO gave %d, not %d", byte, count);
        WORKLOAD_CALL(write(fifo, &digit, 1));
        count = digit;
        char target[16];
        ssize_t length = WORKLOAD_CALL(readlinkat(link_itself, "", target, sizeof target));
        WORKLOAD_CHECK(length == 9 && target[0] == 's' && target[8] == 'e', "the link leads elsewhere");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
