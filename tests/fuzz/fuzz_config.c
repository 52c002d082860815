/* SPDX-License-Identifier: Apache-2.0 */

/* libFuzzer target for the configuration: any document is taken or refused with a sentence. */

#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct reason why = {0};
    int result = config_defaults(&config, &why);

    if (result == 0)
        result = config_read(&config, bytes_from(data, size), "f", &why);
    if (result == 0)
        result = config_check(&config, &why);
    if ((result != 0) != (why.text[0] != '\0'))
        abort();
    config_clear(&config);
    return 0;
}
