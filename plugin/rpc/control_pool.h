/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_CONTROL_POOL_H
#define COWSNAP_RPC_CONTROL_POOL_H

#include "backends/backend.h"

#include <cowsnap/control.pb-c.h>

/* The message that tells STATUS, from whose strings it borrows. */
Cowsnap__Control__V1__Pool control_pool(const struct pool_status *status);

#endif
