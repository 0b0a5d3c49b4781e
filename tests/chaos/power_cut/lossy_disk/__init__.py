"""A disk that forgets what was not synced, and a moment at which its power goes.

A store runs on ``Disk.root`` with the library of ``journal.c`` and ``calls.c`` loaded into all
its processes, which journals every change in the order in which it took effect. After the cut
the journal tells what a disk may hold: what was synced, and of the rest any part.

The rule:

- Bytes are durable once an ``fsync`` or ``fdatasync`` of their file that began after they were
  written has ended well, or when they were written through an ``O_DSYNC`` descriptor.
- Of each other write every sector (512 or 4096 bytes) survives or not, by the dice; so do
  truncations. A sector may thus hold any of its versions since the last sync, writes are torn,
  and later ones may survive earlier ones. Where only what follows survived, there are zeros.
- Names (create, link, rename, unlink, mkdir, rmdir) are durable once their folder was synced.
  That is what POSIX promises, and all that SQLite needs. Postgres needs what ext4, XFS and
  btrfs add: an ``fsync`` of a file also keeps the names that the file itself was given
  (``own_name_with_file``). Of all other name changes each survives or not, by the dice.
- What is written through a shared mapping or through stdio is lost, as nothing syncs it.
"""
