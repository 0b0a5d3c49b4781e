/* The calls of libc that are journalled; journal.c says how. */
#include "journal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PASS (-1) /* at the descriptor's own position */

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

static uint32_t durable(int fd)
{
    long flags = syscall(SYS_fcntl, fd, F_GETFL);
    return flags > 0 && (flags & O_DSYNC) ? DURABLE : 0;
}

/* What is written is the journal's copy: others may change the caller's memory meanwhile, as
 * Postgres does with the end of a page of its log. */
static ssize_t write_all(int fd, const struct iovec *parts, int count, int64_t offset)
{
    uint64_t ino, length = 0;
    if (!ours(fd, S_IFREG, &ino))
        return offset == PASS ? syscall(SYS_writev, fd, parts, count)
                              : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    enter();
    for (int i = 0; i < count; i++)
        length += parts[i].iov_len;
    char *copy = reserve(WRITE, durable(fd), ino, offset, length), *to = copy;
    for (int i = 0; i < count; i++) {
        memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    ssize_t done = offset == PASS ? syscall(SYS_write, fd, copy, length)
                                  : syscall(SYS_pwrite64, fd, copy, length, offset);
    if (done > 0) {
        if (offset == PASS)
            offset = syscall(SYS_lseek, fd, 0, SEEK_CUR) - done;
        reserve(WRITE, durable(fd), ino, offset, (uint64_t)done); /* the copy stays in place */
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

/* A real sync would only cost: nothing of the folder outlives the test. It takes some time all
 * the same, in which others go on and the power may go. */
static int sync_one(int fd, uint32_t flags)
{
    static const struct timespec some_time = {0, 50000};
    uint64_t ino;
    int file = ours(fd, S_IFREG, &ino);
    if (!file && !ours(fd, S_IFDIR, &ino))
        return (int)syscall(flags & DATA_ONLY ? SYS_fdatasync : SYS_fsync, fd);
    enter();
    note(SYNC_BEGIN, flags, ino, 0);
    leave();
    nanosleep(&some_time, NULL);
    enter();
    note(SYNC_END, flags, ino, 0);
    leave();
    return 0;
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
