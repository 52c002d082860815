/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <string.h>

static void pieces_are_aligned_and_apart(void **state)
{
    struct arena arena = ARENA_EMPTY;
    uint8_t *pieces[500];
    size_t sizes[500];

    (void)state;
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = i * 7 % 300 + (i % 100 == 0 ? 40000 : 0); /* some larger than a block */
        pieces[i] = arena_take(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            if (pieces[i][at] != (uint8_t)i)
                fail_msg("piece %zu was written over", i);
    arena_clear(&arena);
    arena_clear(&arena);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    struct arena arena = ARENA_EMPTY;
    struct bytes copy;

    (void)state;
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_null(arena_take(&arena, SIZE_MAX - 16));
    assert_false(arena_copy(&arena, bytes_from("x", SIZE_MAX - 8), &copy));
    arena_clear(&arena);
}

static void a_copy_outlives_its_source(void **state)
{
    struct arena arena = ARENA_EMPTY;
    char source[] = "a\0b";
    struct bytes copy, none;

    (void)state;
    assert_true(arena_copy(&arena, bytes_from(source, 3), &copy));
    assert_true(arena_copy(&arena, bytes_of(NULL), &none));
    memset(source, '!', sizeof(source));
    assert_true(bytes_equal(copy, bytes_from("a\0b", 3)));
    assert_int_equal(none.length, 0);
    arena_clear(&arena);
}

static void a_reset_arena_uses_its_block_anew(void **state)
{
    struct arena arena = ARENA_EMPTY;
    void *first, *again;

    (void)state;
    arena_reset(&arena); /* nothing was taken yet */
    for (int i = 0; i < 10; i++)
        assert_non_null(arena_take(&arena, 10000));
    arena_reset(&arena);
    first = arena_take(&arena, 100);
    arena_reset(&arena);
    again = arena_take(&arena, 100);
    assert_ptr_equal(first, again);
    arena_clear(&arena);
}

/* ---- scoped.h ---- */

static unsigned released;

static void release(int *number)
{
    released += (unsigned)*number;
}

static void what_is_scoped_is_given_back_once(void **state)
{
    int fd;

    (void)state;
    released = 0;
    {
        scoped(release) int two = 2;
        scoped(release) int three = 3;
    }
    assert_int_equal(released, 5);
    {
        scoped_fd int opened = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        scoped_fd int none = -1;

        fd = opened;
        assert_true(fcntl(fd, F_GETFD) >= 0);
    }
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_is_handed_on_is_kept(void **state)
{
    char *kept;
    int fd;

    (void)state;
    {
        scoped_free char *text = strdup("text");
        scoped_fd int opened = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        kept = take_pointer(text);
        fd = take_fd(&opened);
        assert_null(text);
        assert_int_equal(opened, -1);
    }
    assert_string_equal(kept, "text");
    assert_int_equal(close(fd), 0);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(a_copy_outlives_its_source),
        cmocka_unit_test(a_reset_arena_uses_its_block_anew),
        cmocka_unit_test(what_is_scoped_is_given_back_once),
        cmocka_unit_test(what_is_handed_on_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
