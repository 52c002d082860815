/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_entry.h"

#include "unit/cmocka_setup.h"

#include <string.h>
#include <sys/stat.h>

/* Headers that tests change, and what comes of them. */
static struct tar_headers headers;
static struct entry entry;
static uint64_t stored;
static enum tar_sparse sparse;
static struct reason why;

static int setup(void **state)
{
    (void)state;
    headers = (struct tar_headers){
        .header = {.format = TAR_FORMAT_USTAR,
                   .type = TAR_FILE,
                   .name = "name",
                   .link = "link",
                   .mode = 0644,
                   .size = 10},
    };
    why = (struct reason){0};
    return 0;
}

static void merges(void)
{
    if (tar_entry_merge(&entry, &headers, &stored, &sparse, &why))
        fail_msg("%s", why.text);
}

static void refuses(const char *sentence)
{
    assert_int_equal(tar_entry_merge(&entry, &headers, &stored, &sparse, &why), CONDITION_INVALID);
    assert_string_equal(why.text, sentence);
    assert_non_null(entry.name); /* whoever adds it to the sentence needs it */
}

static void a_plain_header_is_the_entry(void **state)
{
    (void)state;
    headers.header.mode = 0100000 | 06755; /* some archives have the type of the file there, too */
    headers.header.uid = 1000;
    headers.header.gid = 0xffffffff;
    headers.header.mtime = -5;
    merges();
    assert_int_equal(entry.type, ENTRY_FILE);
    assert_string_equal(entry.name, "name");
    assert_string_equal(entry.link, "");
    assert_int_equal(entry.mode, 06755);
    assert_int_equal(entry.uid, 1000);
    assert_int_equal(entry.gid, 0xffffffff);
    assert_int_equal(entry.size, 10);
    assert_int_equal(entry.mtime.tv_sec, -5);
    assert_int_equal(entry.mtime.tv_nsec, 0);
    assert_int_equal(entry.atime.tv_nsec, UTIME_OMIT);
    assert_int_equal(stored, 10);
    assert_int_equal(sparse, TAR_SPARSE_NONE);
}

static void each_type_of_header_is_a_type_of_entry(void **state)
{
    static const struct {
        uint8_t type;
        enum entry_type wanted;
        bool has_link, has_data;
    } types[] = {
        {TAR_FILE_OLD, ENTRY_FILE, false, true},
        {TAR_FILE, ENTRY_FILE, false, true},
        {TAR_HARDLINK, ENTRY_HARDLINK, true, false},
        {TAR_SYMLINK, ENTRY_SYMLINK, true, false},
        {TAR_CHARACTER_DEVICE, ENTRY_CHARACTER_DEVICE, false, false},
        {TAR_BLOCK_DEVICE, ENTRY_BLOCK_DEVICE, false, false},
        {TAR_DIRECTORY, ENTRY_DIRECTORY, false, false},
        {TAR_FIFO, ENTRY_FIFO, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        headers.header.type = types[i].type;
        merges();
        assert_int_equal(entry.type, types[i].wanted);
        assert_string_equal(entry.link, types[i].has_link ? "link" : "");
        /* what has no data may claim a size all the same */
        assert_int_equal(stored, types[i].has_data ? 10 : 0);
        assert_int_equal(entry.size, types[i].has_data ? 10 : 0);
    }
    headers.header.type = '7';
    refuses("its type \"7\" is none of file, directory, link, device, fifo");
}

static void v7s_folders_are_told_by_their_slash(void **state)
{
    (void)state;
    headers.header.type = TAR_FILE_OLD;
    headers.long_name = "folder/";
    merges();
    assert_int_equal(entry.type, ENTRY_DIRECTORY);
    assert_int_equal(stored, 0);
    headers.header.type = TAR_FILE; /* a type that was given stands */
    merges();
    assert_int_equal(entry.type, ENTRY_FILE);
}

static void the_later_of_names_wins(void **state)
{
    (void)state;
    headers.header.type = TAR_SYMLINK;
    headers.pax.path = bytes_of("pax name");
    headers.pax.linkpath = bytes_of("pax link");
    merges();
    assert_string_equal(entry.name, "pax name");
    assert_string_equal(entry.link, "pax link");
    headers.long_name = "long name";
    headers.long_link = "long link";
    merges();
    assert_string_equal(entry.name, "long name");
    assert_string_equal(entry.link, "long link");
    headers.long_name = headers.long_link = ""; /* as if there were none */
    merges();
    assert_string_equal(entry.name, "pax name");
    assert_string_equal(entry.link, "pax link");
}

static void pax_numbers_win_over_the_headers(void **state)
{
    (void)state;
    headers.header.uid = -1; /* nobody looks at it then */
    headers.pax.uid = bytes_of("70000");
    headers.pax.gid = bytes_of("4294967295");
    headers.pax.size = bytes_of("8589934592");
    headers.pax.mtime = bytes_of("1.5");
    headers.pax.atime = bytes_of("2.25");
    merges();
    assert_int_equal(entry.uid, 70000);
    assert_int_equal(entry.gid, 4294967295);
    assert_int_equal(entry.size, 8589934592);
    assert_int_equal(stored, 8589934592);
    assert_int_equal(entry.mtime.tv_nsec, 500000000);
    assert_int_equal(entry.atime.tv_sec, 2);
    assert_int_equal(entry.atime.tv_nsec, 250000000);
}

static void the_headers_own_access_time_counts(void **state)
{
    (void)state;
    headers.header.has_atime = true;
    headers.header.atime = 77;
    merges();
    assert_int_equal(entry.atime.tv_sec, 77);
    assert_int_equal(entry.atime.tv_nsec, 0);
}

static void owners_that_no_file_system_has_are_refused(void **state)
{
    (void)state;
    headers.header.uid = 4294967296;
    refuses("its uid 4294967296 is outside 0 to 4294967295");
    headers.header.uid = 0;
    headers.header.gid = -1;
    refuses("its gid -1 is outside 0 to 4294967295");
    headers.pax.uid = bytes_of("-2");
    refuses("its uid -2 is outside 0 to 4294967295");
}

static void what_is_no_number_or_time_is_refused(void **state)
{
    struct bytes *const fields[] = {&headers.pax.uid,   &headers.pax.gid,   &headers.pax.size,
                                    &headers.pax.mtime, &headers.pax.atime, &headers.pax.ctime};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i] = bytes_of("twelve");
        assert_int_equal(tar_entry_merge(&entry, &headers, &stored, &sparse, &why),
                         CONDITION_INVALID);
        *fields[i] = bytes_of("12");
    }
    merges();
}

static void devices_have_their_numbers_and_nothing_else_has(void **state)
{
    (void)state;
    headers.header.device_major = 8;
    headers.header.device_minor = 17;
    headers.header.type = TAR_BLOCK_DEVICE;
    merges();
    assert_int_equal(entry.device_major, 8);
    assert_int_equal(entry.device_minor, 17);
    headers.header.device_major = -1;
    refuses("its device's major number -1 is outside 0 to 4294967295");
    headers.header.device_major = 0;
    headers.header.device_minor = 4294967296;
    refuses("its device's minor number 4294967296 is outside 0 to 4294967295");
    headers.header.type = TAR_FILE;
    merges();
    assert_int_equal(entry.device_minor, 0);
}

static void attributes_are_handed_on_and_need_a_name(void **state)
{
    struct entry_xattr xattrs[] = {{.name = "user.a"}, {.name = "user.b"}};

    (void)state;
    headers.pax.xattrs = xattrs;
    headers.pax.xattr_count = 2;
    merges();
    assert_ptr_equal(entry.xattrs, xattrs);
    assert_int_equal(entry.xattr_count, 2);
    xattrs[0].name = "";
    refuses("one of its extended attributes has no name");
}

static void a_negative_size_is_refused_where_data_follows(void **state)
{
    (void)state;
    headers.header.size = -1;
    refuses("its size is negative: -1");
    headers.header.type = TAR_DIRECTORY;
    merges();
    assert_int_equal(entry.size, 0);
}

/* ---- sparse files ---- */

static void the_versions_of_sparse_maps(void **state)
{
    static const struct {
        const char *major, *minor, *map;
        enum tar_sparse wanted;
    } versions[] = {
        {NULL, NULL, NULL, TAR_SPARSE_NONE}, {NULL, NULL, "0,1", TAR_SPARSE_LIST},
        {"0", "0", NULL, TAR_SPARSE_LIST},   {"0", "1", NULL, TAR_SPARSE_LIST},
        {"1", "0", NULL, TAR_SPARSE_LINES},  {"1", "1", "0,1", TAR_SPARSE_NONE},
        {"0", "2", "0,1", TAR_SPARSE_NONE},  {"2", "0", "0,1", TAR_SPARSE_NONE},
        {NULL, "0", "0,1", TAR_SPARSE_NONE}, {"0", NULL, "0,1", TAR_SPARSE_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        headers.pax.sparse_major = bytes_of(versions[i].major);
        headers.pax.sparse_minor = bytes_of(versions[i].minor);
        headers.pax.sparse_map = bytes_of(versions[i].map);
        merges();
        assert_int_equal(sparse, versions[i].wanted);
    }
}

static void a_sparse_file_has_two_sizes_and_its_own_name(void **state)
{
    (void)state;
    headers.pax.sparse_major = bytes_of("1");
    headers.pax.sparse_minor = bytes_of("0");
    headers.pax.sparse_name = bytes_of("real name");
    headers.pax.sparse_real_size = bytes_of("1000");
    headers.long_name = "GNUSparseFile.0/name";
    merges();
    assert_string_equal(entry.name, "real name");
    assert_int_equal(entry.size, 1000);
    assert_int_equal(stored, 10);
    headers.pax.sparse_size = bytes_of("2000"); /* that of the formats before wins */
    merges();
    assert_int_equal(entry.size, 2000);
    headers.pax.sparse_size = bytes_of("-1");
    refuses("its size is negative: -1");
    headers.pax.sparse_size = bytes_of("x");
    assert_int_equal(tar_entry_merge(&entry, &headers, &stored, &sparse, &why), CONDITION_INVALID);
    headers.pax.sparse_name = bytes_from("a\0b", 3);
    refuses("its GNU.sparse.name holds a NUL byte: \"a\\x00b\"");
}

static void gnus_own_sparse_files_have_it_in_the_header(void **state)
{
    (void)state;
    headers.header.type = TAR_SPARSE;
    headers.header.format = TAR_FORMAT_GNU;
    headers.header.real_size = bytes_of("00000001750 ");
    merges();
    assert_int_equal(entry.type, ENTRY_FILE);
    assert_int_equal(sparse, TAR_SPARSE_GNU);
    assert_int_equal(entry.size, 01750);
    assert_int_equal(stored, 10);
    headers.header.real_size = bytes_of("many");
    refuses("its real size, \"many\", is no number of 64 bits");
    headers.header.format = TAR_FORMAT_USTAR;
    refuses("its type 'S' has a meaning in GNU's format only, which this is not");
}

static void only_files_are_sparse(void **state)
{
    (void)state;
    headers.pax.sparse_map = bytes_of("0,1");
    headers.header.type = TAR_DIRECTORY;
    refuses("it has a sparse map but is no file");
}

int main(void)
{
#define anew(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        anew(a_plain_header_is_the_entry),
        anew(each_type_of_header_is_a_type_of_entry),
        anew(v7s_folders_are_told_by_their_slash),
        anew(the_later_of_names_wins),
        anew(pax_numbers_win_over_the_headers),
        anew(the_headers_own_access_time_counts),
        anew(owners_that_no_file_system_has_are_refused),
        anew(what_is_no_number_or_time_is_refused),
        anew(devices_have_their_numbers_and_nothing_else_has),
        anew(attributes_are_handed_on_and_need_a_name),
        anew(a_negative_size_is_refused_where_data_follows),
        anew(the_versions_of_sparse_maps),
        anew(a_sparse_file_has_two_sizes_and_its_own_name),
        anew(gnus_own_sparse_files_have_it_in_the_header),
        anew(only_files_are_sparse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
