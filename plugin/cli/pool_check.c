/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/json.h"
#include "cli/pool_access.h"

#include <stdio.h>

static const struct command_flag flags[] = {POOL_ACCESS_FLAGS, {NULL, false}};

/* Of a pool that is neither mounted nor active by what examines such; of one that is, as the daemon
 * would. */
static int check_alone(struct pool_access *access, struct pool_verdict *verdict, struct reason *why)
{
    struct backend_options options;
    int result = pool_access_lock(access, false, why);

    if (result)
        return result;
    options = pool_access_options(access, POOL_ACTIVE);
    result = access->ops->check_idle(&options, NULL, verdict, why);
    if (result != CONDITION_PRECONDITION)
        return result;
    result = pool_access_open(access, POOL_ACTIVE, why);
    return result ? result : access->ops->check(access->backend, NULL, verdict, why);
}

static int run_pool_check(const struct arguments *arguments, struct reason *why)
{
    scoped(pool_access_end) struct pool_access access;
    struct pool_verdict verdict = {0};
    int result = pool_access_begin(&access, arguments, why);

    if (result == 0 && access.served)
        result = pool_access_explain(
            &access, control_client_check_pool(access.daemon.client, &verdict, why), why);
    else if (result == 0)
        result = check_alone(&access, &verdict, why);
    if (result)
        return result;

    if (arguments->json) {
        struct json json = JSON_TO(stdout);

        json_object(&json, NULL);
        json_switch(&json, "sound", verdict.sound);
        json_text(&json, "finding", verdict.finding.text);
        json_switch(&json, "daemon_answered", access.served);
        json_end(&json);
    } else {
        printf("%s: %s\n", verdict.sound ? "sound" : "DAMAGED", verdict.finding.text);
    }
    return verdict.sound ? 0 : COMMAND_NO;
}

const struct command command_pool_check = {
    .name = "pool check",
    .words = "",
    .summary = "Look for damage in the pool; changes nothing",
    .details = POOL_ACCESS_HELP
    "\n"
    "What is examined depends on the pool and on whether it is in use: all checksums of a\n"
    "mounted btrfs of cowsnap's own (a scrub; may take minutes), the kernel's counters of\n"
    "errors of one of yours, the structure of one that is not mounted (btrfs check), or the\n"
    "metadata of a thin pool (thin_check). Exit status: 0 sound, 1 damaged, 2 could not check.\n",
    .flags = flags,
    .failed = 2,
    .run = run_pool_check,
};
