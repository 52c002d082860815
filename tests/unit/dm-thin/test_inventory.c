/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/inventory.h"
#include "backends/dm-thin/name.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

static void a_number_is_an_id_and_an_epoch(void **state)
{
    (void)state;
    assert_int_equal(thin_id(5), 5);
    assert_int_equal(thin_epoch(5), 0);
    assert_int_equal(thin_id(0x3000005), 5);
    assert_int_equal(thin_epoch(0x3000005), 3);
}

static void items_are_found_replaced_and_dropped(void **state)
{
    struct inventory inventory;
    struct inventory_item item;
    size_t count;

    (void)state;
    inventory_init(&inventory);
    /* three in one bucket, one of them an epoch later */
    assert_true(inventory_put(&inventory, (struct inventory_item){.id = 9, .mapped = 1}));
    assert_true(inventory_put(&inventory, (struct inventory_item){.id = 9 + INVENTORY_BUCKETS}));
    assert_true(inventory_put(&inventory, (struct inventory_item){.id = 9, .mapped = 2}));
    assert_true(inventory_find(&inventory, 9, &item));
    assert_int_equal(item.mapped, 2);
    assert_int_equal(inventory.count, 2);
    assert_false(inventory_find(&inventory, 0x1000009, &item));
    assert_true(inventory_is_taken(&inventory, 0x1000009));
    assert_false(inventory_is_taken(&inventory, 9));
    inventory_drop(&inventory, 0x1000009); /* not the one there is */
    assert_true(inventory_find(&inventory, 9, &item));
    inventory_update(&inventory, (struct inventory_item){.id = 9, .mapped = 3});
    assert_true(inventory_find(&inventory, 9, &item));
    assert_int_equal(item.mapped, 3);
    inventory_mark(&inventory, 9, true);
    inventory_mark(&inventory, 0x1000009, false); /* not the one there is */
    inventory_update(&inventory, (struct inventory_item){.id = 9, .mapped = 3});
    assert_true(inventory_find(&inventory, 9, &item));
    assert_true(item.whole);
    uint64_t *ids = inventory_list(&inventory, &count);
    assert_int_equal(count, 2);
    assert_int_equal(ids[0] + ids[1], 9 + 9 + INVENTORY_BUCKETS);
    free(ids);
    inventory_drop(&inventory, 9);
    inventory_update(&inventory, (struct inventory_item){.id = 9, .mapped = 4});
    assert_false(inventory_find(&inventory, 9, &item));
    assert_true(inventory_find(&inventory, 9 + INVENTORY_BUCKETS, &item));
    assert_int_equal(inventory.count, 1);
    inventory_deinit(&inventory);
}

static void names_carry_pool_and_number(void **state)
{
    char name[DEVICE_NAME], longest[NAME_POOL];

    (void)state;
    name_volume("cowsnap-1", 17, name);
    assert_string_equal(name, "cowsnap-1-snap-17");
    assert_int_equal(name_parse_volume("cowsnap-1", name), 17);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-1-snap-017"), 0);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-1-snap-17x"), 0);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-1-snap-"), 0);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-1-label"), 0);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-12-snap-17"), 0);
    assert_int_equal(name_parse_volume("cowsnap-1", "cowsnap-1-snap-99999999999999999999"), 0);

    memset(longest, 'p', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_true(name_is_fit(longest));
    name_volume(longest, UINT64_MAX, name);
    assert_true(name_parse_volume(longest, name) == UINT64_MAX);
    assert_false(name_is_fit("") || name_is_fit("a b") || name_is_fit("a/b") || name_is_fit(".a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_an_id_and_an_epoch),
        cmocka_unit_test(items_are_found_replaced_and_dropped),
        cmocka_unit_test(names_carry_pool_and_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
