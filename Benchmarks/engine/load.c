// A process of a given size, for measuring: `load KIND COUNT`. Writes `ready` to standard output and then waits.
//   tiny         nothing but itself
//   pages N      N MiB of private memory, every page random and different
//   processes N  N children that wait
//   threads N    N threads that wait
//   files N      N open files: half of them plain files of its folder, a quarter pipes, a quarter eventfds
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *wait_for_ever(void *unused) {
    (void)unused;
    for (;;) pause();
}

static void fill(uint64_t *words, size_t count) {
    uint64_t state = 0x9E3779B97F4A7C15u;
    for (size_t index = 0; index < count; index++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        words[index] = state;
    }
}

static void open_files(long count) {
    for (long index = 0; index < count;) {
        if (index % 4 < 2) {
            char name[32];
            snprintf(name, sizeof name, "file-%ld", index);
            if (open(name, O_RDWR | O_CREAT, 0600) < 0) fail("open");
            index++;
        } else if (index % 4 == 2) {
            if (eventfd((unsigned)index, 0) < 0) fail("eventfd");
            index++;
        } else {
            int ends[2];
            if (pipe(ends) != 0) fail("pipe");
            index += 2;
        }
    }
}

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "tiny";
    long count = argc > 2 ? atol(argv[2]) : 0;
    if (strcmp(kind, "pages") == 0) {
        size_t bytes = (size_t)count << 20;
        uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (words == MAP_FAILED) fail("mmap");
        fill(words, bytes / 8);
    } else if (strcmp(kind, "processes") == 0) {
        for (long index = 0; index < count; index++) {
            pid_t child = fork();
            if (child < 0) fail("fork");
            if (child == 0) wait_for_ever(NULL);
        }
    } else if (strcmp(kind, "threads") == 0) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 64 << 10);
        for (long index = 0; index < count; index++) {
            pthread_t thread;
            if (pthread_create(&thread, &attributes, wait_for_ever, NULL) != 0) fail("pthread_create");
        }
    } else if (strcmp(kind, "files") == 0) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        open_files(count);
    } else if (strcmp(kind, "tiny") != 0) {
        fprintf(stderr, "load: unknown kind %s\n", kind);
        return 64;
    }
    if (write(1, "ready\n", 6) != 6) fail("write");
    for (;;) pause();
}
