/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DAEMON_LIMITS_H
#define COWSNAP_DAEMON_LIMITS_H

/* Raises the number of files that may be open as far as the machine allows: writers of layers keep
 * many folders open. Where that fails, the limit stays and a warning is logged when it is low. */
void limits_raise(void);

#endif
