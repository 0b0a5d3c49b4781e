/* Journals every change that a program makes to the files under one folder.
 *
 * Loaded with LD_PRELOAD into all processes of a store. Each call that changes a file, a name
 * or asks for a sync is carried out and appended to one shared journal (a file that all of them
 * map), so that the order in the journal is the order in which the calls took effect. What would
 * be left of it on a disk is worked out from the journal later (image.py).
 *
 * After `cut_at` records, or when somebody sets `frozen`, no call takes effect any more: that is
 * the moment at which the power goes. Callers wait there until they are killed.
 *
 * POWER_CUT_ROOT is the folder (canonical), POWER_CUT_JOURNAL the journal; without them the
 * library does nothing. Calls are made as system calls, so nothing has to be looked up in libc.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct record {
    uint64_t size; /* of the record, a multiple of 8 */
    uint32_t operation, flags;
    uint64_t ino;
    int64_t offset;
    uint64_t length; /* of what follows */
    uint64_t thread;
};

struct journal {
    uint64_t end, capacity, records, cut_at;
    uint32_t frozen, busy;
    uint64_t unused[3];
    pthread_mutex_t mutex;
};

#define FIRST 4096 /* where the records begin */

static struct journal *journal;
static char root[PATH_MAX];
static size_t root_length;
static dev_t device;
static __thread sigset_t interrupted;

void die(const char *why)
{
    dprintf(2, "power cut journal: %s (errno %d)\n", why, errno);
    abort();
}

/* Called by the test before any process is started. Returns 0, or -1 with errno. */
int journal_create(const char *path, uint64_t capacity, uint64_t cut_at)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0666);
    if (fd < 0 || syscall(SYS_fchmod, fd, 0666) || syscall(SYS_ftruncate, fd, capacity))
        return -1;
    struct journal *made = mmap(NULL, FIRST, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (made == MAP_FAILED)
        return -1;
    made->end = FIRST;
    made->capacity = capacity;
    made->cut_at = cut_at;
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    /* A process that is killed inside leaves no record, and the next one may go on. */
    pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&made->mutex, &shared);
    return munmap(made, FIRST);
}

__attribute__((constructor)) static void attach(void)
{
    const char *folder = getenv("POWER_CUT_ROOT"), *path = getenv("POWER_CUT_JOURNAL");
    struct stat at;
    if (!folder || !path)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &at))
        die("cannot be opened");
    void *mapped = mmap(NULL, (size_t)at.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped == MAP_FAILED || stat(folder, &at))
        die("cannot be mapped, or the folder is absent");
    device = at.st_dev;
    root_length = strlen(folder);
    if (root_length >= sizeof root)
        die("the folder's name is too long");
    memcpy(root, folder, root_length + 1);
    journal = mapped;
}

void enter(void)
{
    sigset_t all;
    sigfillset(&all);
    /* A handler might end the process between the call and its record. */
    pthread_sigmask(SIG_SETMASK, &all, &interrupted);
    int failed = pthread_mutex_lock(&journal->mutex);
    if (failed == EOWNERDEAD)
        pthread_mutex_consistent(&journal->mutex);
    else if (failed)
        die("its lock cannot be taken");
    __atomic_store_n(&journal->busy, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&journal->frozen, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&journal->busy, 0, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&journal->mutex);
        for (;;)
            pause();
    }
}

void leave(void)
{
    int failure = errno;
    __atomic_store_n(&journal->busy, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&journal->mutex);
    pthread_sigmask(SIG_SETMASK, &interrupted, NULL);
    errno = failure;
}

char *reserve(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset,
                     uint64_t length)
{
    uint64_t size = (sizeof(struct record) + length + 7) & ~7UL;
    if (journal->end + size > journal->capacity)
        die("full: choose a larger capacity");
    struct record *record = (struct record *)((char *)journal + journal->end);
    *record = (struct record){size, operation, flags, ino, offset, length,
                              (uint64_t)syscall(SYS_gettid)};
    return (char *)(record + 1);
}

void publish(void)
{
    journal->end += ((struct record *)((char *)journal + journal->end))->size;
    uint64_t cut_at = __atomic_load_n(&journal->cut_at, __ATOMIC_SEQ_CST);
    if (++journal->records >= cut_at && cut_at)
        __atomic_store_n(&journal->frozen, 1, __ATOMIC_SEQ_CST);
}

void note(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset)
{
    reserve(operation, flags, ino, offset, 0);
    publish();
}

void note_names(uint32_t operation, uint32_t flags, uint64_t ino, const char *one,
                       const char *two)
{
    size_t first = strlen(one), second = two ? strlen(two) + 1 : 0;
    char *at = reserve(operation, flags, ino, 0, first + second);
    memcpy(at, one, first);
    if (two) {
        at[first] = 0;
        memcpy(at + first + 1, two, second - 1);
    }
    publish();
}

void note_content(int fd, uint64_t ino, int64_t offset, uint64_t length)
{
    char *at = reserve(WRITE, 0, ino, offset, length);
    uint64_t done = 0;
    while (done < length) {
        long got = syscall(SYS_pread64, fd, at + done, length - done, offset + (int64_t)done);
        if (got <= 0)
            die("a file cannot be read back");
        done += (uint64_t)got;
    }
    publish();
}

int below(int folder, const char *path, char *name)
{
    char whole[2 * PATH_MAX], link[64];
    long length = 0;
    if (!journal || !path)
        return 0;
    if (*path != '/') {
        if (folder == AT_FDCWD)
            length = syscall(SYS_getcwd, whole, PATH_MAX) - 1;
        else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            length = syscall(SYS_readlinkat, AT_FDCWD, link, whole, PATH_MAX);
        }
        if (length < 0)
            return 0;
    }
    if (snprintf(whole + length, sizeof whole - (size_t)length, "/%s", path) >= PATH_MAX)
        return 0;
    char clean[2 * PATH_MAX], *end = clean;
    for (char *part = whole; *part;) {
        size_t size = strcspn(part, "/");
        if (size == 2 && !strncmp(part, "..", 2)) {
            while (end > clean && *--end != '/') {
            }
        } else if (size && !(size == 1 && *part == '.')) {
            *end++ = '/';
            memcpy(end, part, size);
            end += size;
        }
        part += size + (part[size] == '/');
    }
    *end = 0;
    if (strncmp(clean, root, root_length) || (clean[root_length] && clean[root_length] != '/'))
        return 0;
    strcpy(name, clean + root_length + (clean[root_length] == '/'));
    return 1;
}

int ours(int fd, mode_t kind, uint64_t *ino)
{
    struct stat at;
    int failure = errno;
    int yes = journal && !fstat(fd, &at) && at.st_dev == device && (at.st_mode & S_IFMT) == kind;
    errno = failure;
    if (yes)
        *ino = at.st_ino;
    return yes;
}
