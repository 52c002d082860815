/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_EVENT_H
#define COWSNAP_BACKENDS_DM_THIN_EVENT_H

/*
 * Events of device-mapper by poll(2): a descriptor of /dev/mapper/control can be read once anything
 * was told of any device (made, ended, or an event of its target) since it was armed. Source:
 * dm_poll() and DM_DEV_ARM_POLL of linux drivers/md/dm-ioctl.c, from 4.15 on. libdevmapper has the
 * call for arming, but keeps the descriptor to itself.
 *
 * A wait for an event of one device (DM_DEV_WAIT) would be more exact; but a thread in it can be
 * ended by a signal only, and a daemon that stops should not need one.
 */

/* The descriptor, for the caller to close; minus an errno. */
int event_open(void);

/* From now on. 0 or minus an errno: -ENOTTY where the kernel has no such thing. */
int event_arm(int events);

#endif
