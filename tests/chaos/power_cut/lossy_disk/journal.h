/* What journal.c offers to calls.c. */
#pragma once
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/types.h>

enum operation {
    CREATE = 1, /* ino, name; flag OPAQUE: written through stdio, which is not seen */
    WRITE,      /* ino, offset, bytes; flag DURABLE: the descriptor is O_DSYNC */
    RESIZE,     /* ino, offset = new size */
    ALLOCATE,   /* ino, offset = size that it has at least */
    SYNC_BEGIN, /* ino; flag DATA_ONLY: fdatasync */
    SYNC_END,   /* ino */
    RENAME,     /* names "old\0new" */
    LINK,       /* names "old\0new" */
    UNLINK,     /* name */
    MKDIR,      /* ino, name */
    RMDIR,      /* name */
    MAPPED,     /* ino: mapped for shared writing, which is not seen */
};
enum flag { OPAQUE = 1, DURABLE = 2, DATA_ONLY = 4 };

/* Not to be taken for a program's own functions. */
#pragma GCC visibility push(hidden)

/* Ends the process: what it does is not modelled, or the journal is of no use. */
void die(const char *why);

/* From here to leave() nothing else changes. Never returns once the power is off. */
void enter(void);
void leave(void);

/* Returns where the `length` bytes of the new record belong; publish() makes it count. */
char *reserve(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset, uint64_t length);
void publish(void);

/* Records without bytes, with one or two names, and with what the file holds at a place. */
void note(uint32_t operation, uint32_t flags, uint64_t ino, int64_t offset);
void note_names(uint32_t operation, uint32_t flags, uint64_t ino, const char *one,
                const char *two);
void note_content(int fd, uint64_t ino, int64_t offset, uint64_t length);

/* Fills `name` with the path below the root, "" for the root; false if it is elsewhere. */
int below(int folder, const char *path, char *name);

/* Whether a descriptor may be of interest; which files are, is known to who reads the journal. */
int ours(int fd, mode_t kind, uint64_t *ino);

#pragma GCC visibility pop
