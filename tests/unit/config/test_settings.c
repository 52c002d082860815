/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>

static void every_setting_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        bool named = setting->kind == SETTING_NAME || setting->kind == SETTING_CHOICE;

        assert_non_null(setting->key);
        assert_int_equal(named, setting->names != NULL);
        if (setting->kind != SETTING_SWITCH && !named)
            assert_true(setting->most > setting->least);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(setting->key, settings[j].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
