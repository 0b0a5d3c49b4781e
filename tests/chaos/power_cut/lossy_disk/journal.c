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
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation {
    CREATE = 1, /* ino, name; flag OPAQUE: written through stdio, which is not seen */
    WRITE,      /* ino, offset, bytes; flag DURABLE: the descriptor is O_DSYNC */
    RESIZE,     /* ino, offset = new size */
    ALLOCATE,   /* ino, offset = size that it has at least */
    SYNC_BEGIN, /* ino; flag DATA_ONLY: fdatasync */
    SYNC_END,   /* ino, offset = 0, or -1 where it failed */
    RENAME,     /* names "old\0new" */
    LINK,       /* names "old\0new" */
    UNLINK,     /* name */
    MKDIR,      /* ino, name */
    RMDIR,      /* name */
    MAPPED,     /* ino: mapped for shared writing, which is not seen */
};
enum flag { OPAQUE = 1, DURABLE = 2, DATA_ONLY = 4 };

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
#define PASS (-1)

static struct journal *journal;
static char root[PATH_MAX];
static size_t root_length;
static dev_t device;

static void die(const char *why)
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

/* From here to leave() nothing else changes. Never returns once the power is off. */
static void enter(void)
{
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

static void leave(void)
{
    int failure = errno;
    __atomic_store_n(&journal->busy, 0, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&journal->mutex);
    errno = failure;
}

/* Returns where the `length` bytes of the new record belong; publish() makes it count. */
static char *reserve(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset,
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

static void publish(void)
{
    journal->end += ((struct record *)((char *)journal + journal->end))->size;
    if (++journal->records == journal->cut_at)
        __atomic_store_n(&journal->frozen, 1, __ATOMIC_SEQ_CST);
}

static void note(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset)
{
    reserve(operation, flags, ino, offset, 0);
    publish();
}

static void note_names(uint32_t operation, uint32_t flags, uint64_t ino, const char *one,
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

static void note_content(int fd, uint64_t ino, int64_t offset, uint64_t length)
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

/* Fills `name` with the path below the root, "" for the root; false if it is elsewhere. */
static int below(int folder, const char *path, char *name)
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

/* Whether a descriptor may be of interest; which files are, is known to who reads the journal. */
static int ours(int fd, mode_t kind, uint64_t *ino)
{
    struct stat at;
    int failure = errno;
    int yes = journal && !fstat(fd, &at) && at.st_dev == device && (at.st_mode & S_IFMT) == kind;
    errno = failure;
    if (yes)
        *ino = at.st_ino;
    return yes;
}

static uint32_t durable(int fd)
{
    long flags = syscall(SYS_fcntl, fd, F_GETFL);
    return flags > 0 && (flags & O_DSYNC) ? DURABLE : 0;
}

/* --- opening ------------------------------------------------------------------------------ */

static int open_one(int folder, const char *path, int flags, mode_t mode)
{
    char name[PATH_MAX];
    struct stat at;
    if (!(flags & (O_CREAT | O_TRUNC)) || !below(folder, path, name))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    enter();
    int there = !fstatat(folder, path, &at, 0);
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && !fstat(fd, &at)) {
        if (!there)
            note_names(CREATE, 0, at.st_ino, name, NULL);
        else if (flags & O_TRUNC)
            note(RESIZE, 0, at.st_ino, 0);
    }
    leave();
    return fd;
}

#define OPEN(symbol)                                       \
    int symbol(const char *path, int flags, ...)           \
    {                                                      \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        mode_t mode = va_arg(rest, mode_t);                \
        va_end(rest);                                      \
        return open_one(AT_FDCWD, path, flags, mode);      \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol)                                     \
    int symbol(int folder, const char *path, int flags, ...) \
    {                                                      \
        va_list rest;                                      \
        va_start(rest, flags);                             \
        mode_t mode = va_arg(rest, mode_t);                \
        va_end(rest);                                      \
        return open_one(folder, path, flags, mode);        \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode)
{
    return open_one(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

#define FOPEN(symbol)                                                            \
    FILE *symbol(const char *path, const char *mode)                             \
    {                                                                            \
        char name[PATH_MAX];                                                     \
        struct stat at;                                                          \
        FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, #symbol);   \
        if (!strpbrk(mode, "wa+") || !below(AT_FDCWD, path, name))               \
            return real(path, mode);                                             \
        enter();                                                                 \
        FILE *file = real(path, mode);                                           \
        if (file && !fstat(fileno(file), &at))                                   \
            note_names(CREATE, OPAQUE, at.st_ino, name, NULL);                   \
        leave();                                                                 \
        return file;                                                             \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* --- writing ------------------------------------------------------------------------------ */

static void copy_out(char *to, const struct iovec *parts, int count, uint64_t length)
{
    for (int i = 0; i < count && length; i++) {
        uint64_t size = parts[i].iov_len < length ? parts[i].iov_len : length;
        memcpy(to, parts[i].iov_base, size);
        to += size;
        length -= size;
    }
}

/* offset PASS: at the descriptor's own position. */
static ssize_t write_all(int fd, const struct iovec *parts, int count, int64_t offset)
{
    uint64_t ino;
    if (!ours(fd, S_IFREG, &ino))
        return offset == PASS ? syscall(SYS_writev, fd, parts, count)
                              : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    enter();
    ssize_t done = offset == PASS ? syscall(SYS_writev, fd, parts, count)
                                  : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    if (done > 0) {
        if (offset == PASS)
            offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - done;
        copy_out(reserve(WRITE, durable(fd), ino, offset, (uint64_t)done), parts, count,
                 (uint64_t)done);
        publish();
    }
    leave();
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    struct iovec part = {(void *)data, size};
    return write_all(fd, &part, 1, PASS);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct iovec part = {(void *)data, size};
    return write_all(fd, &part, 1, offset);
}
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_all(fd, parts, count, PASS);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_all(fd, parts, count, offset);
}
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *at, size_t size,
                        unsigned int flags)
{
    uint64_t ino;
    if (!ours(to, S_IFREG, &ino))
        return syscall(SYS_copy_file_range, from, start, to, at, size, flags);
    enter();
    ssize_t done = syscall(SYS_copy_file_range, from, start, to, at, size, flags);
    if (done > 0)
        note_content(to, ino, (at ? *at : syscall(SYS_lseek, to, 0, SEEK_CUR)) - done,
                     (uint64_t)done);
    leave();
    return done;
}

static int resize(int fd, const char *path, off_t size)
{
    uint64_t ino = 0;
    struct stat at;
    char name[PATH_MAX];
    int watched = path ? below(AT_FDCWD, path, name) : ours(fd, S_IFREG, &ino);
    if (watched)
        enter();
    int failed = (int)(path ? syscall(SYS_truncate, path, size) : syscall(SYS_ftruncate, fd, size));
    if (watched) {
        if (!failed && path && !stat(path, &at))
            ino = at.st_ino;
        if (!failed)
            note(RESIZE, 0, ino, size);
        leave();
    }
    return failed;
}

int ftruncate(int fd, off_t size) { return resize(fd, NULL, size); }
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
int truncate(const char *path, off_t size) { return resize(-1, path, size); }
int truncate64(const char *, off64_t) __attribute__((alias("truncate")));

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    uint64_t ino;
    if (!ours(fd, S_IFREG, &ino))
        return (int)syscall(SYS_fallocate, fd, mode, offset, size);
    if (mode) { /* nobody here needs holes */
        errno = EOPNOTSUPP;
        return -1;
    }
    enter();
    int failed = (int)syscall(SYS_fallocate, fd, 0, offset, size);
    if (!failed)
        note(ALLOCATE, 0, ino, offset + size);
    leave();
    return failed;
}
int fallocate64(int, int, off64_t, off64_t) __attribute__((alias("fallocate")));

int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) ? errno : 0;
}
int posix_fallocate64(int, off64_t, off64_t) __attribute__((alias("posix_fallocate")));

#define MMAP(symbol)                                                                          \
    void *symbol(void *where, size_t size, int access, int flags, int fd, off_t offset)       \
    {                                                                                         \
        uint64_t ino;                                                                         \
        if (fd >= 0 && (access & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE &&          \
            ours(fd, S_IFREG, &ino)) {                                                        \
            enter();                                                                          \
            note(MAPPED, 0, ino, 0);                                                          \
            leave();                                                                          \
        }                                                                                     \
        return (void *)syscall(SYS_mmap, where, size, access, flags, fd, offset);             \
    }
MMAP(mmap)
MMAP(mmap64)

/* --- syncing ------------------------------------------------------------------------------ */

static int sync_one(int fd, uint32_t flags)
{
    uint64_t ino;
    long call = flags & DATA_ONLY ? SYS_fdatasync : SYS_fsync;
    int file = ours(fd, S_IFREG, &ino);
    if (!file && !ours(fd, S_IFDIR, &ino))
        return (int)syscall(call, fd);
    enter();
    note(SYNC_BEGIN, flags, ino, 0);
    leave();
    int failed = (int)syscall(call, fd);
    enter();
    note(SYNC_END, flags, ino, failed);
    leave();
    return failed;
}

int fsync(int fd) { return sync_one(fd, 0); }
int fdatasync(int fd) { return sync_one(fd, DATA_ONLY); }

/* Syncing everything would make files durable that the store never asked for. */
void sync(void) { die("sync() is not modelled"); }

int syncfs(int fd)
{
    (void)fd;
    die("syncfs() is not modelled");
    return -1;
}

/* --- names -------------------------------------------------------------------------------- */

static int two_names(uint32_t operation, int from, const char *one, int to, const char *two,
                     unsigned int flags)
{
    char before[PATH_MAX], after[PATH_MAX];
    int leaves = below(from, one, before), arrives = below(to, two, after);
    long call = operation == RENAME ? SYS_renameat2 : SYS_linkat;
    if (!leaves && !arrives)
        return (int)syscall(call, from, one, to, two, flags);
    if (!leaves || !arrives || (operation == RENAME && flags))
        die("a name crosses the folder's border, or is exchanged");
    enter();
    int failed = (int)syscall(call, from, one, to, two, flags);
    if (!failed)
        note_names(operation, 0, 0, before, after);
    leave();
    return failed;
}

int rename(const char *one, const char *two)
{
    return two_names(RENAME, AT_FDCWD, one, AT_FDCWD, two, 0);
}
int renameat(int from, const char *one, int to, const char *two)
{
    return two_names(RENAME, from, one, to, two, 0);
}
int renameat2(int from, const char *one, int to, const char *two, unsigned int flags)
{
    return two_names(RENAME, from, one, to, two, flags);
}
int link(const char *one, const char *two)
{
    return two_names(LINK, AT_FDCWD, one, AT_FDCWD, two, 0);
}
int linkat(int from, const char *one, int to, const char *two, int flags)
{
    return two_names(LINK, from, one, to, two, (unsigned int)flags);
}

int symlink(const char *target, const char *path)
{
    char name[PATH_MAX];
    if (below(AT_FDCWD, path, name))
        die("a symbolic link is not modelled");
    return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

int unlinkat(int folder, const char *path, int flags)
{
    char name[PATH_MAX];
    if (!below(folder, path, name))
        return (int)syscall(SYS_unlinkat, folder, path, flags);
    enter();
    int failed = (int)syscall(SYS_unlinkat, folder, path, flags);
    if (!failed)
        note_names(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, name, NULL);
    leave();
    return failed;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path)
{
    int failed = unlink(path);
    return failed && errno == EISDIR ? rmdir(path) : failed;
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    char name[PATH_MAX];
    struct stat at;
    if (!below(folder, path, name))
        return (int)syscall(SYS_mkdirat, folder, path, mode);
    enter();
    int failed = (int)syscall(SYS_mkdirat, folder, path, mode);
    if (!failed && !fstatat(folder, path, &at, 0))
        note_names(MKDIR, 0, at.st_ino, name, NULL);
    leave();
    return failed;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
