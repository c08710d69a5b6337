// One mapping of every common kind, filled with numbers that follow from the seed. A worker process shares some of them:
// both write their own half and read the other's, so a "shared" mapping that came back as two copies shows.
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

enum { page = 4096, words = page / sizeof(uint64_t) };

typedef struct {
    const char *name;
    unsigned char *start;
    size_t pages;
    int protection;
    bool changes;  // one page of it is rewritten at each step
    uint64_t version[32];  // per page; 0 is all zero
} area;

static area areas[24];
static size_t area_count;

static uint64_t word_of(size_t index, size_t at, uint64_t version, size_t word) {
    return version ? workload_number(100 + index * 64 + at, version * words + word) : 0;
}

static void fill(size_t index, size_t at, uint64_t version) {
    uint64_t *into = (uint64_t *)(void *)(areas[index].start + at * page);
    for (size_t word = 0; word < words; word++) into[word] = word_of(index, at, version, word);
    areas[index].version[at] = version;
}

static void check_page(size_t index, size_t at) {
    const area *what = &areas[index];
    const volatile uint64_t *from = (const volatile uint64_t *)(void *)(what->start + at * page);
    for (size_t word = 0; word < words; word++) {
        uint64_t expected = word_of(index, at, what->version[at], word), found = from[word];
        WORKLOAD_CHECK(found == expected, "%s: page %zu word %zu holds %lx instead of %lx", what->name, at, word,
                       found, expected);
    }
}

static size_t add(const char *name, void *start, size_t pages, bool changes) {
    if (start == MAP_FAILED) workload_fail("mmap of %s: errno %d", name, errno);
    areas[area_count] = (area){.name = name, .start = start, .pages = pages, .changes = changes};
    return area_count++;
}

static void *map(size_t pages, int protection, int flags, int descriptor, off_t offset) {
    return mmap(NULL, pages * page, protection, flags, descriptor, offset);
}

static const int rw = PROT_READ | PROT_WRITE, private_anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

/// Not brk(2) of libc: musl's always says no.
static unsigned char *end_of_heap(void) { return (unsigned char *)syscall(SYS_brk, NULL); }
static bool move_heap(unsigned char *end) { return (unsigned char *)syscall(SYS_brk, end) == end; }

/// A file of `pages` pages with the numbers of area `index`, version 1.
static int numbered_file(const char *path, size_t index, size_t pages) {
    int descriptor = WORKLOAD_CALL(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    for (size_t at = 0; at < pages; at++) {
        uint64_t content[words];
        for (size_t word = 0; word < words; word++) content[word] = word_of(index, at, 1, word);
        WORKLOAD_CHECK(write(descriptor, content, page) == page, "cannot write %s: errno %d", path, errno);
    }
    return descriptor;
}

// Areas whose content the kernel must deny or grant in a certain way.
static unsigned char *guard, *sparse, *code_page, *executable_only;
static const size_t sparse_bytes = 256UL << 20;
static size_t read_only_area, hole_area, shared_file_area, memfd_area;
static int memfd = -1;

/// What worker and parent share: each adds to its own counter and checks that the other's never goes back.
typedef struct {
    volatile uint64_t parent_count, worker_count;
    volatile uint64_t parent_page[words], worker_page[words];
} common;
static common *shared[3];  // anonymous, memfd, file

/// Writes `value` to all shared areas, reads the other side's back. All three must show the same other side.
static void exchange(bool worker, uint64_t value) {
    for (size_t each = 0; each < 3; each++) {
        volatile uint64_t *mine = worker ? shared[each]->worker_page : shared[each]->parent_page;
        for (size_t word = 0; word < words; word++) mine[word] = workload_number(7 + each, value * words + word);
        __atomic_store_n(worker ? &shared[each]->worker_count : &shared[each]->parent_count, value, __ATOMIC_SEQ_CST);
    }
}

static void check_other(bool worker, uint64_t expected) {
    static const char *const names[] = {"shared anonymous", "memfd", "shared file"};
    for (size_t each = 0; each < 3; each++) {
        uint64_t count =
            __atomic_load_n(worker ? &shared[each]->parent_count : &shared[each]->worker_count, __ATOMIC_SEQ_CST);
        WORKLOAD_CHECK(count == expected, "%s: the %s's counter is %lu instead of %lu: no longer shared",
                       names[each], worker ? "parent" : "worker", count, expected);
        volatile uint64_t *other = worker ? shared[each]->parent_page : shared[each]->worker_page;
        for (size_t word = 0; word < words; word++)
            WORKLOAD_CHECK(other[word] == workload_number(7 + each, count * words + word),
                           "%s: word %zu of the %s's page is wrong", names[each], word, worker ? "parent" : "worker");
    }
}

/// Answers each number of the parent with the same number.
__attribute__((noreturn)) static void work(pid_t parent) {
    for (uint64_t answered = 0; getppid() == parent;) {
        uint64_t asked = __atomic_load_n(&shared[2]->parent_count, __ATOMIC_SEQ_CST);
        if (asked == UINT64_MAX) _exit(0);
        if (asked == answered) {
            workload_pause(2);
            continue;
        }
        check_other(true, asked);
        exchange(true, asked);
        answered = asked;
    }
    _exit(3);
}

/// Whether the kernel lets a system call read this byte; no signal handler needed.
static bool readable(const void *address) {
    int ends[2];
    WORKLOAD_CALL(pipe2(ends, O_CLOEXEC));
    bool can = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return can;
}

static void check_protection(void) {
    WORKLOAD_CHECK(!readable(guard) && readable(guard + page) && !readable(guard + 2 * page),
                   "guard pages do not guard");
    const unsigned char *hole = areas[hole_area].start;
    WORKLOAD_CHECK(readable(hole) && !readable(hole + 2 * page) && readable(hole + 3 * page),
                   "the mprotect'ed hole is not where it was");
    // A call that must write into read-only memory says EFAULT.
    unsigned char *read_only = areas[read_only_area].start;
    int zero = WORKLOAD_CALL(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    WORKLOAD_CHECK(read(zero, read_only, 1) == -1 && errno == EFAULT, "read-only memory can be written");
    close(zero);
    int (*answer)(void) = (int (*)(void))(void *)code_page;
    int (*hidden)(void) = (int (*)(void))(void *)executable_only;
    WORKLOAD_CHECK(answer() == 42 && hidden() == 43, "code pages answer wrongly");
}

/// Recurses so that hundreds of pages of stack carry live frames; checks them on the way back. Runs `body` at the depth.
__attribute__((noinline)) static void descend(unsigned depth, void (*body)(void)) {
    volatile uint64_t frame[64];
    for (unsigned word = 0; word < 64; word++) frame[word] = workload_number(50, depth * 64UL + word);
    if (depth == 0) body();
    else descend(depth - 1, body);
    for (unsigned word = 0; word < 64; word++)
        WORKLOAD_CHECK(frame[word] == workload_number(50, depth * 64UL + word), "stack frame %u is damaged", depth);
}

static void setup(void) {
    size_t index = add("private anonymous", map(16, rw, private_anonymous, -1, 0), 16, true);
    for (size_t at = 0; at < 16; at += 2) fill(index, at, 1);  // every other page stays untouched: zero
    index = add("zero pages", map(8, rw, private_anonymous, -1, 0), 8, false);
    for (size_t at = 0; at < 8; at++) check_page(index, at);  // reads map the zero page
    // A private file mapping: page 0 stays the file's, page 1 is changed in memory, page 2 changed and dropped again.
    int descriptor = numbered_file("private.dat", area_count, 4);
    index = add("private file", map(4, rw, MAP_PRIVATE, descriptor, 0), 4, false);
    close(descriptor);
    for (size_t at = 0; at < 4; at++) areas[index].version[at] = 1;
    fill(index, 1, 2);
    fill(index, 2, 2);
    WORKLOAD_CALL(madvise(areas[index].start + 2 * page, page, MADV_DONTNEED));
    areas[index].version[2] = 1;
    // The second half of a file, so that an offset is lost loudly.
    descriptor = numbered_file("shared.dat", area_count, 8);
    shared_file_area = index = add("shared file", map(4, rw, MAP_SHARED, descriptor, 4 * page), 4, true);
    close(descriptor);
    for (size_t at = 0; at < 4; at++) fill(index, at, 3);
    descriptor = numbered_file("readonly.dat", area_count, 2);
    index = add("read-only shared file", map(2, PROT_READ, MAP_SHARED, descriptor, 0), 2, false);
    close(descriptor);
    areas[index].version[0] = areas[index].version[1] = 1;
    descriptor = numbered_file("unlinked.dat", area_count, 2);
    index = add("unlinked shared file", map(2, rw, MAP_SHARED, descriptor, 0), 2, true);
    WORKLOAD_CALL(unlink("unlinked.dat"));
    close(descriptor);
    areas[index].version[0] = areas[index].version[1] = 1;
    index = add("shared anonymous", map(6, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 6, true);
    for (size_t at = 0; at < 6; at += 2) fill(index, at, 1);
    memfd = WORKLOAD_CALL(memfd_create("crlab-memory", MFD_CLOEXEC));
    WORKLOAD_CALL(ftruncate(memfd, 4 * page));
    memfd_area = index = add("memfd", map(4, rw, MAP_SHARED, memfd, 0), 4, true);
    fill(index, 3, 1);
    int source = WORKLOAD_CALL(memfd_create("crlab-private", MFD_CLOEXEC));
    WORKLOAD_CALL(ftruncate(source, 4 * page));
    index = add("private memfd", map(4, rw, MAP_PRIVATE, source, 0), 4, true);
    close(source);
    fill(index, 0, 1);
    fill(index, 3, 5);
    index = add("read-only", map(2, rw, private_anonymous, -1, 0), 2, false);
    read_only_area = index;
    fill(index, 0, 1);
    WORKLOAD_CALL(mprotect(areas[index].start, 2 * page, PROT_READ));
    // PROT_NONE in the middle; its content must be there when it becomes readable again.
    index = add("mprotect'ed hole", map(5, rw, private_anonymous, -1, 0), 5, false);
    hole_area = index;
    for (size_t at = 0; at < 5; at++) fill(index, at, 1);
    WORKLOAD_CALL(mprotect(areas[index].start + 2 * page, page, PROT_NONE));
    // A mapping with a piece cut out.
    unsigned char *cut = map(3, rw, private_anonymous, -1, 0);
    WORKLOAD_CHECK(cut != MAP_FAILED, "mmap: errno %d", errno);
    WORKLOAD_CALL(munmap(cut + page, page));
    fill(add("below a gap", cut, 1, true), 0, 1);
    fill(add("above a gap", cut + 2 * page, 1, true), 0, 1);
    // Grows down like a stack, though nothing's stack.
    index = add("grows down", map(4, rw, private_anonymous | MAP_GROWSDOWN | MAP_STACK, -1, 0), 4, true);
    for (size_t at = 0; at < 4; at++) fill(index, at, 1);
    // The heap through brk, left at an odd length.
    unsigned char *heap = end_of_heap();
    heap += (page - (uintptr_t)heap % page) % page;
    WORKLOAD_CHECK(move_heap(heap + 12 * page + 123), "the heap does not grow");
    index = add("brk heap", heap, 12, true);
    for (size_t at = 0; at < 12; at++) fill(index, at, 1);

    guard = map(3, rw, private_anonymous, -1, 0);
    sparse = mmap(NULL, sparse_bytes, rw, private_anonymous | MAP_NORESERVE, -1, 0);
    code_page = map(1, rw, private_anonymous, -1, 0);
    executable_only = map(1, rw, private_anonymous, -1, 0);
    WORKLOAD_CHECK(guard != MAP_FAILED && sparse != MAP_FAILED && code_page != MAP_FAILED &&
                       executable_only != MAP_FAILED, "mmap: errno %d", errno);
    WORKLOAD_CALL(mprotect(guard, page, PROT_NONE));
    WORKLOAD_CALL(mprotect(guard + 2 * page, page, PROT_NONE));
    for (size_t offset = 0; offset < sparse_bytes; offset += sparse_bytes / 16)
        *(volatile uint64_t *)(void *)(sparse + offset + page) = workload_number(60, offset);
    static const unsigned char returns_42[] = {0xB8, 42, 0, 0, 0, 0xC3};  // mov eax, 42; ret
    for (size_t byte = 0; byte < sizeof returns_42; byte++) code_page[byte] = executable_only[byte] = returns_42[byte];
    executable_only[1] = 43;
    WORKLOAD_CALL(mprotect(code_page, page, PROT_READ | PROT_EXEC));
    WORKLOAD_CALL(mprotect(executable_only, page, PROT_EXEC));

    size_t bytes = (sizeof(common) + page - 1) / page * page;
    int common_memfd = WORKLOAD_CALL(memfd_create("crlab-common", MFD_CLOEXEC));
    int common_file = WORKLOAD_CALL(open("common.dat", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    WORKLOAD_CALL(ftruncate(common_memfd, (off_t)bytes));
    WORKLOAD_CALL(ftruncate(common_file, (off_t)bytes));
    shared[0] = mmap(NULL, bytes, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[1] = mmap(NULL, bytes, rw, MAP_SHARED, common_memfd, 0);
    shared[2] = mmap(NULL, bytes, rw, MAP_SHARED, common_file, 0);
    for (size_t each = 0; each < 3; each++) WORKLOAD_CHECK(shared[each] != MAP_FAILED, "mmap: errno %d", errno);
    close(common_memfd);  // held by the mapping alone from here on
    close(common_file);
}

static void check_sparse(void) {
    for (size_t offset = 0; offset < sparse_bytes; offset += sparse_bytes / 16) {
        WORKLOAD_CHECK(*(volatile uint64_t *)(void *)(sparse + offset + page) == workload_number(60, offset),
                       "sparse: the page at %zu is wrong", offset);
    }
}

static pid_t worker;

static void step(uint64_t count) {
    // The worker saw what we wrote, wherever we both are now, and we see its answer.
    exchange(false, count);
    while (__atomic_load_n(&shared[2]->worker_count, __ATOMIC_SEQ_CST) != count) {
        WORKLOAD_CHECK(waitpid(worker, NULL, WNOHANG) == 0, "the worker has gone");
        workload_pause(2);
    }
    check_other(false, count);
    for (size_t index = 0; index < area_count; index++) {
        size_t at = (count * 7 + index) % areas[index].pages;
        if (index == hole_area && at == 2) continue;
        check_page(index, at);
        if (areas[index].changes) {
            fill(index, at, count + 10);
            check_page(index, at);
        }
    }
    check_sparse();
    check_protection();
}

static void verify(void) {
    WORKLOAD_CALL(mprotect(areas[hole_area].start + 2 * page, page, PROT_READ));
    for (size_t index = 0; index < area_count; index++)
        for (size_t at = 0; at < areas[index].pages; at++) check_page(index, at);
    // What was written through shared mappings is in the file and in the memfd.
    int descriptor = WORKLOAD_CALL(open("shared.dat", O_RDONLY | O_CLOEXEC));
    static uint64_t content[words];
    for (size_t at = 0; at < 4; at++) {
        WORKLOAD_CHECK(pread(descriptor, content, page, (off_t)(4 + at) * page) == page, "shared.dat is short");
        for (size_t word = 0; word < words; word++)
            WORKLOAD_CHECK(content[word] == word_of(shared_file_area, at, areas[shared_file_area].version[at], word),
                           "shared.dat does not hold what was mapped");
    }
    for (size_t at = 0; at < 4; at++) {
        WORKLOAD_CHECK(pread(memfd, content, page, (off_t)at * page) == page, "the memfd is short");
        for (size_t word = 0; word < words; word++)
            WORKLOAD_CHECK(content[word] == word_of(memfd_area, at, areas[memfd_area].version[at], word),
                           "the memfd does not hold what was mapped");
    }
    unsigned char *end = end_of_heap(), *heap_end = areas[area_count - 1].start + 12 * page + 123;
    WORKLOAD_CHECK(end == heap_end, "the program break moved from %p to %p", (void *)heap_end, (void *)end);
    WORKLOAD_CHECK(move_heap(end + 3 * page) && move_heap(end), "the heap no longer grows");
}

static void run(void) {
    for (uint64_t count = 1;; count++) {
        step(count);
        if (workload_break_now()) areas[0].start[5] ^= 1, shared[0]->worker_page[3] ^= 1;
        workload_progress();
        if (workload_verify_requested()) break;
        workload_pause(8);
    }
    verify();
    __atomic_store_n(&shared[2]->parent_count, UINT64_MAX, __ATOMIC_SEQ_CST);
    int status;
    WORKLOAD_CHECK(waitpid(worker, &status, 0) == worker && status == 0, "the worker ended with %#x", status);
}

int main(void) {
    workload_begin();
    setup();
    pid_t parent = getpid();
    worker = WORKLOAD_CALL(fork());
    if (worker == 0) work(parent);
    workload_ready();
    descend(1500, run);
    workload_verified();
}
