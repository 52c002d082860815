/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_MACHINE_H
#define COWSNAP_TESTS_CRASH_MACHINE_H

/* What the kernel holds of the daemon's and of this program's: mounts and loop devices. What goes
 * wrong ends the program. */

#include <stdbool.h>
#include <stdint.h>

struct mounts;

/* How long something that is about to end is waited for. Another program that looks at a device
 * holds up its end for a moment. */
#define MACHINE_MOST_MS 20000

int64_t machine_now_ms(void);
/* Waits a little before something is looked at again. */
void machine_pause(void);

/* Mounts in order what the daemon handed out over the folder POINT; false, and told, when the
 * kernel refuses. */
bool machine_mount(const struct mounts *mounts, const char *point);
/* Unmounts what is mounted at POINT, if anything is. */
void machine_unmount(const char *point);

/* How many mounts there are below FOLDER, and loop devices on files below it. */
unsigned machine_mounts(const char *folder);
unsigned machine_loops(const char *folder);
/* Waits for the end of those, which go by themselves with what they were used by. */
void machine_wait_for_loops(const char *folder);

#endif
