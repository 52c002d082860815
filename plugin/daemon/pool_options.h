/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DAEMON_POOL_OPTIONS_H
#define COWSNAP_DAEMON_POOL_OPTIONS_H

#include "backends/backend.h"
#include "config/config.h"
#include "daemon/root.h"

/* What CONFIG says of the pool in the open ROOT. Borrows from both. */
struct backend_options pool_options(const struct config *config, const struct root *root);

#endif
