/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/service.h"

#include <errno.h>

int volume_is_known(struct store_txn *txn, uint64_t id, bool *known, struct reason *why)
{
    uint64_t intended;
    enum intent_kind kind;
    struct record record;
    int result = store_get_id(txn, id, &record, why);

    *known = result == -EBADMSG || (!result && record_volume(&record) == id);
    if (*known)
        return 0;
    if (result < 0)
        return result;
    result = store_next_intent(txn, id, &intended, &kind, why);
    *known = (!result || result == -EBADMSG) && intended == id;
    return result < 0 && !(result == -EBADMSG && intended) ? result : 0;
}
