/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/limits.h"

#include "base/log.h"

#include <sys/resource.h>

#define FILES_WANTED ((rlim_t)65536)
#define FILES_FEW ((rlim_t)4096)

void limits_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    if (files.rlim_max < FILES_WANTED) {
        /* Only the privileged may lift the upper bound. */
        struct rlimit lifted = {FILES_WANTED, FILES_WANTED};

        if (setrlimit(RLIMIT_NOFILE, &lifted) == 0)
            return;
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < FILES_FEW)
        log_warn("only %llu files may be open; set LimitNOFILE= (or ulimit -n) to 65536 or more",
                 (unsigned long long)files.rlim_cur);
}
