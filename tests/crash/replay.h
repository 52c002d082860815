/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_REPLAY_H
#define COWSNAP_TESTS_CRASH_REPLAY_H

/*
 * What a loss of power may leave of a disk, by the log of its writes that dm-log-writes kept.
 *
 * The kernel writes a superblock and then entries, each a sector followed by what was written
 * (linux: drivers/md/dm-log-writes.c, Documentation/admin-guide/device-mapper/log-writes.rst). A
 * write is entered when a flush that began after its end has succeeded, before that flush, or by
 * itself when it was to pass the cache (FUA). So between two flushes stands what the second one
 * made safe: until then it may be on the disk or not.
 *
 * The log has two marks. The power goes at one of the flushes between them, or at the second.
 */

#include <stdint.h>

#define REPLAY_CUT "cut"
#define REPLAY_END "end"

/* Changes the file THEN, the disk as it was when the log began, to what the cut leaves of it: what
 * was flushed, what passed the cache, and of the rest each 4 KiB or not, by CHANCE. Brings NOW, the
 * file that has all writes, to the same. A log that is none ends the program. */
void replay(int log, int then, int now, uint64_t *chance);

/* Copies what is not a hole. */
void replay_copy_file(int from, int to);

#endif
