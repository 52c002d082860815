/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/path.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both ways to open: by openat2(2), and component by component. */
static struct path_root root_of(const struct tree_rig *rig, bool components)
{
    struct path_root root;

    path_root_init(&root, rig->fd);
    root.components = root.components || components;
    return root;
}

static void sees(struct tree_rig *rig, const char *name, const char *wanted)
{
    for (int components = 0; components < 2; components++) {
        const struct path_root root = root_of(rig, components);
        char resolved[PATH_ROOM];
        int result = path_resolve(&root, name, resolved, &rig->why);

        if (result)
            print_error("%s: %s\n", name, rig->why.text);
        assert_int_equal(result, 0);
        assert_string_equal(resolved, wanted);
    }
}

static void refuses(struct tree_rig *rig, const char *name, const char *words)
{
    for (int components = 0; components < 2; components++) {
        const struct path_root root = root_of(rig, components);
        char resolved[PATH_ROOM];

        rig->why = (struct reason){0};
        assert_int_equal(path_resolve(&root, name, resolved, &rig->why), CONDITION_INVALID);
        if (!strstr(rig->why.text, words))
            print_error("%s\n", rig->why.text);
        assert_non_null(strstr(rig->why.text, words));
    }
}

static void names_are_cleaned_as_go_does(void **state)
{
    static const struct {
        const char *name, *clean;
    } cases[] = {
        {"", ""},
        {".", ""},
        {"/", ""},
        {"a", "a"},
        {"./a", "a"},
        {"/a/b/", "a/b"},
        {"a//b/./c", "a/b/c"},
        {"..", ""},
        {"../../a", "a"},
        {"a/../../b", "b"},
        {"a/b/..", "a"},
        {"a/b/../../..", ""},
        {"...", "..."},
        {"..a/.b", "..a/.b"},
        {"a\n\xff/b", "a\n\xff/b"},
    };
    char clean[PATH_ROOM];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(path_clean(cases[i].name, clean, NULL), 0);
        assert_string_equal(clean, cases[i].clean);
    }
}

static void a_name_that_does_not_fit_is_refused(void **state)
{
    char name[PATH_ROOM + 16], clean[PATH_ROOM];
    struct reason why = {0};

    (void)state;
    memset(name, 'a', sizeof(name));
    name[PATH_ROOM - 1] = '\0';
    assert_int_equal(path_clean(name, clean, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "longer"));
    name[PATH_ROOM - 2] = '\0';
    assert_int_equal(path_clean(name, clean, &why), 0);
    assert_string_equal(clean, name);
    /* what falls away again needs no room in the end, only on the way */
    memcpy(name, "b/../", 5);
    assert_int_equal(path_clean(name, clean, &why), 0);
    assert_string_equal(clean, name + 5);
}

static void the_base_is_what_follows_the_last_slash(void **state)
{
    size_t length;

    (void)state;
    assert_string_equal(path_base("usr/lib/x", &length), "x");
    assert_int_equal(length, 7);
    assert_string_equal(path_base("usr", &length), "usr");
    assert_int_equal(length, 0);
    assert_string_equal(path_base("", &length), "");
    assert_int_equal(length, 0);
}

static void symlinks_stay_inside(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "a");
    tree_rig_folder(rig, "a/b");
    tree_rig_symlink(rig, "absolute", "/etc");
    tree_rig_symlink(rig, "up", "../../../../etc");
    tree_rig_symlink(rig, "root", "/");
    tree_rig_symlink(rig, "a/up", "../..");
    tree_rig_symlink(rig, "a/b/far", "../../../../../../tmp/x");
    tree_rig_symlink(rig, "a/b/to-absolute", "/absolute/passwd");
    sees(rig, "absolute/passwd", "etc/passwd");
    sees(rig, "/absolute", "etc");
    sees(rig, "up/passwd", "etc/passwd");
    sees(rig, "root", "");
    sees(rig, "root/root/a", "a");
    sees(rig, "a/up/x", "x");
    sees(rig, "a/b/far", "tmp/x");
    sees(rig, "a/b/to-absolute", "etc/passwd");
    sees(rig, "../../a/b/../up/a", "a");
}

static void dots_behind_a_symlink_are_of_where_it_leads(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "x");
    tree_rig_folder(rig, "x/y");
    tree_rig_folder(rig, "a");
    tree_rig_symlink(rig, "a/b", "/x/y");
    tree_rig_symlink(rig, "a/r", "../x/y");
    sees(rig, "a/b/../c", "x/c");
    sees(rig, "a/r/../c", "x/c");
    sees(rig, "a/b/../../c", "c");
    sees(rig, "a/b/..", "x");
}

static void what_does_not_exist_is_taken_as_spelt(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_symlink(rig, "dangling", "no/where");
    sees(rig, "nothing/here", "nothing/here");
    sees(rig, "dangling", "no/where");
    sees(rig, "dangling/x/../y", "no/where/y");
    sees(rig, "nothing/../dangling/z", "no/where/z");
    sees(rig, "", "");
}

static void circles_and_long_chains_end(void **state)
{
    struct tree_rig *rig = *state;
    char name[32], target[32];

    tree_rig_symlink(rig, "self", "self");
    tree_rig_symlink(rig, "one", "/two");
    tree_rig_symlink(rig, "two", "one/");
    tree_rig_symlink(rig, "deeper", "deeper/x");
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        snprintf(target, sizeof(target), "l%d", i + 1);
        tree_rig_symlink(rig, name, target);
    }
    refuses(rig, "self", "symlinks");
    refuses(rig, "one/x", "symlinks");
    refuses(rig, "two", "symlinks");
    refuses(rig, "deeper", "symlinks");
    refuses(rig, "l0", "255 symlinks");
    sees(rig, "l60", "l300");
}

static void names_that_grow_too_long_are_refused(void **state)
{
    struct tree_rig *rig = *state;
    char name[2 * PATH_ROOM], target[PATH_ROOM];

    memset(name, 'n', sizeof(name));
    name[NAME_MAX + 1] = '\0';
    refuses(rig, name, "255 bytes");
    name[NAME_MAX] = '\0';
    sees(rig, name, name);
    name[NAME_MAX] = 'n';
    name[PATH_ROOM] = '\0';
    refuses(rig, name, "longer");
    for (size_t i = 0; i < sizeof(target); i++)
        target[i] = i % 200 == 199 ? '/' : 't';
    target[4000] = '\0';
    tree_rig_symlink(rig, "long", target);
    strcpy(name, "long/");
    memset(name + 5, 'm', 200);
    name[205] = '\0';
    refuses(rig, name, "longer");
}

static int opens(struct tree_rig *rig, bool components, const char *name, int flags)
{
    const struct path_root root = root_of(rig, components);
    int fd = path_open(&root, name, flags);

    if (fd >= 0) {
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
    }
    return fd >= 0 ? 0 : fd;
}

static void only_what_is_resolved_is_opened(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "a");
    tree_rig_file(rig, "a/f", "x");
    tree_rig_symlink(rig, "link", "a");
    tree_rig_symlink(rig, "a/out", "/etc/passwd");
    for (int components = 0; components < 2; components++) {
        int through = opens(rig, components, "link/f", O_RDONLY);
        int beyond = opens(rig, components, "../x", O_PATH);

        assert_int_equal(opens(rig, components, "", O_RDONLY | O_DIRECTORY), 0);
        assert_int_equal(opens(rig, components, "a/f", O_RDONLY), 0);
        assert_int_equal(opens(rig, components, "a/none", O_RDONLY), -ENOENT);
        assert_int_equal(opens(rig, components, "a/f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
        assert_int_equal(opens(rig, components, "a/f/x", O_RDONLY), -ENOTDIR);
        assert_int_equal(opens(rig, components, "a/out", O_RDONLY), -ELOOP);
        assert_true(through == -ELOOP || through == -ENOTDIR);
        assert_int_equal(beyond, -EXDEV);
        assert_int_equal(opens(rig, components, "a/../..", O_PATH), -EXDEV);
    }
}

static void a_component_beyond_255_bytes_is_too_long(void **state)
{
    struct tree_rig *rig = *state;
    char name[NAME_MAX + 4];

    memset(name, 'n', sizeof(name));
    strcpy(name + NAME_MAX + 1, "/x");
    for (int components = 0; components < 2; components++)
        assert_int_equal(opens(rig, components, name, O_PATH), -ENAMETOOLONG);
}

static void a_file_on_the_way_is_no_folder(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_file(rig, "f", "x");
    tree_rig_symlink(rig, "into", "f/g");
    refuses(rig, "f/g", "no folder");
    refuses(rig, "into/h", "no folder");
}

/* ---- any tree: both ways agree, and stay inside ---- */

static unsigned random_state = 12345;

static unsigned random_below(unsigned limit)
{
    random_state = random_state * 1103515245u + 12345u;
    return (random_state >> 16) % limit;
}

static void random_name(char *name, bool dots)
{
    static const char *const pieces[] = {"a", "b", "c", "d", "..", "."};
    unsigned count = 1 + random_below(4);

    *name = '\0';
    for (unsigned i = 0; i < count; i++) {
        if (i > 0 || random_below(4) == 0)
            strcat(name, "/");
        strcat(name, pieces[random_below(dots ? 6 : 4)]);
    }
}

/* openat2(2) within the tree; the errno, negative, when it fails. EAGAIN: somebody renamed or
 * mounted something just then, anywhere. */
static int open_in_root(int fd, const char *name, unsigned flags)
{
    struct open_how how = {.flags = flags | O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int opened;

    do
        opened = (int)syscall(SYS_openat2, fd, name, &how, sizeof(how));
    while (opened < 0 && errno == EAGAIN);
    return opened < 0 ? -errno : opened;
}

/* Through links as well, which lead anywhere: within the tree. */
static void random_tree(struct tree_rig *rig, bool dots)
{
    char name[64], target[64];

    for (int i = 0; i < 30; i++) {
        random_name(name, false);
        random_name(target, dots);
        char *base = strrchr(name, '/');
        if (base)
            *base++ = '\0';
        scoped_fd int folder =
            base && name[0] ? open_in_root(rig->fd, name, O_DIRECTORY) : dup(rig->fd);
        bool directory = random_below(2) == 0;
        if (folder < 0)
            continue;
        if (directory)
            mkdirat(folder, base ? base : name, 0755);
        else
            (void)!symlinkat(target, folder, base ? base : name);
    }
}

/* ---- what containerd would do: continuity's fs.RootPath, word by word ---- */

#define GO_ROOM 512 /* bytes of a name here */
#define GO_LONG 200 /* beyond that nothing is said of it: in a circle it grows for ever */
#define GO_TOO_LONG (-1)

/* filepath.Clean() */
static void go_clean(const char *name, char clean[static GO_ROOM])
{
    size_t first = name[0] == '/', used = first, floor = first; /* no ".." goes below FLOOR */

    clean[0] = '/';
    while (*(name += strspn(name, "/"))) {
        size_t length = strcspn(name, "/");
        bool up = length == 2 && strncmp(name, "..", 2) == 0;

        if (up && used > floor) {
            while (--used > floor && clean[used] != '/')
                ;
        } else if (!(length == 1 && name[0] == '.') && !(up && first)) {
            if (used > first)
                clean[used++] = '/';
            memcpy(clean + used, name, length);
            used += length;
            if (up)
                floor = used;
        }
        name += length;
    }
    if (used == 0)
        clean[used++] = '.';
    clean[used] = '\0';
}

static void go_join(const char *folder, const char *name, char joined[static GO_ROOM])
{
    char text[2 * GO_ROOM];

    snprintf(text, sizeof(text), "%s%s%s", folder, *folder && *name ? "/" : "", name);
    if (text[0])
        go_clean(text, joined);
    else
        joined[0] = '\0';
}

struct go_walk {
    int fd;
    unsigned links;
};

static int go_walk_link(struct go_walk *walk, const char *name, char to[static GO_ROOM], bool *link)
{
    char rooted[GO_ROOM];
    struct stat status;
    ssize_t length;

    *link = false;
    if (walk->links > PATH_LINKS_LIMIT)
        return CONDITION_INVALID;
    go_join("/", name, rooted);
    strcpy(to, rooted);
    if (strcmp(rooted, "/") == 0)
        return 0;
    scoped_fd int fd = open_in_root(walk->fd, rooted, O_NOFOLLOW);
    if (fd < 0)
        return fd == -ENOENT ? 0 : CONDITION_INVALID;
    assert_int_equal(fstat(fd, &status), 0);
    if (!S_ISLNK(status.st_mode))
        return 0;
    length = readlinkat(fd, "", to, GO_ROOM - 1);
    assert_true(length > 0);
    to[length] = '\0';
    walk->links++;
    *link = true;
    return 0;
}

static int go_walk_links(struct go_walk *walk, const char *name, char to[static GO_ROOM])
{
    char folder[GO_ROOM], walked[GO_ROOM], joined[GO_ROOM], target[GO_ROOM];
    const char *slash = strrchr(name, '/');
    bool link;
    int result;

    if (strlen(name) > GO_LONG)
        return GO_TOO_LONG;
    if (!slash)
        return go_walk_link(walk, name, to, &link);
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - name + 1), name);
    if (slash[1] == '\0') {
        if (strcmp(folder, "/") == 0) {
            strcpy(to, "/");
            return 0;
        }
        folder[slash - name] = '\0';
        return go_walk_links(walk, folder, to);
    }
    result = go_walk_links(walk, folder, walked);
    if (result)
        return result;
    go_join(walked, slash + 1, joined);
    result = go_walk_link(walk, joined, target, &link);
    if (!result && link && target[0] != '/')
        go_join(walked, target, to);
    else
        strcpy(to, target);
    return result;
}

static int go_root_path(int fd, const char *name, char resolved[static GO_ROOM])
{
    struct go_walk walk = {.fd = fd};
    char from[GO_ROOM], to[GO_ROOM], clean[GO_ROOM];

    for (strcpy(from, name);;) {
        unsigned before = walk.links;
        int result = go_walk_links(&walk, from, to);

        if (result)
            return result;
        go_join("/", to, clean);
        if (walk.links == before && strcmp(to, clean) == 0) {
            strcpy(resolved, clean + 1);
            return 0;
        }
        strcpy(from, walk.links == before ? clean : to);
    }
}

static bool has_openat2(int fd)
{
    struct path_root root;

    path_root_init(&root, fd);
    return !root.components;
}

static void containerd_agrees(int fd, const char *name, int result, const char *resolved)
{
    char wanted[GO_ROOM] = "";
    int go = go_root_path(fd, name, wanted);

    if (go == GO_TOO_LONG)
        return;
    if ((go == 0) != (result == 0) || (!go && strcmp(wanted, resolved) != 0))
        print_error("%s: containerd finds %d %s, not %d %s\n", name, go, wanted, result, resolved);
    assert_int_equal(go == 0, result == 0);
    if (!go)
        assert_string_equal(resolved, wanted);
}

/* Without "..", on whose meaning behind a symlink the kernel and containerd do not agree, a
 * resolved name is what the kernel finds by the name. */
static void kernel_agrees(const struct path_root *root, const char *name, const char *resolved)
{
    scoped_fd int wanted = open_in_root(root->fd, name, 0);
    scoped_fd int found = path_open(root, resolved, O_PATH);
    struct stat by_name, by_resolved;

    if (wanted < 0 || found < 0) {
        assert_int_equal(found, wanted);
        return;
    }
    assert_int_equal(fstat(wanted, &by_name), 0);
    assert_int_equal(fstat(found, &by_resolved), 0);
    assert_int_equal(by_name.st_ino, by_resolved.st_ino);
}

static void both_ways_agree_on_any_tree(void **state)
{
    struct tree_rig *top = *state;
    unsigned followed = 0;

    for (unsigned round = 0; round < 1000; round++) {
        struct tree_rig rig = {0};
        char folder[24], name[64];

        snprintf(folder, sizeof(folder), "tree%u", round);
        tree_rig_folder(top, folder);
        rig.fd = openat(top->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        random_tree(&rig, round % 2);
        for (unsigned i = 0; i < 40; i++) {
            const struct path_root roots[] = {root_of(&rig, false), root_of(&rig, true)};
            char resolved[2][PATH_ROOM] = {"", ""}, again[PATH_ROOM];
            int results[2];

            random_name(name, round % 2);
            for (int way = 0; way < 2; way++)
                results[way] = path_resolve(&roots[way], name, resolved[way], NULL);
            if (results[0] != results[1] || (!results[0] && strcmp(resolved[0], resolved[1]) != 0))
                print_error("%s: %s in tree %u: %d %s, %d %s\n", top->path, name, round, results[0],
                            resolved[0], results[1], resolved[1]);
            assert_int_equal(results[0], results[1]);
            if (has_openat2(rig.fd))
                containerd_agrees(rig.fd, name, results[0], resolved[0]);
            if (results[0])
                continue;
            assert_string_equal(resolved[0], resolved[1]);
            followed += strcmp(resolved[0], name) != 0;
            if (round % 2 == 0 && has_openat2(rig.fd))
                kernel_agrees(&roots[0], name, resolved[0]);
            /* clean, and nothing is left in it to follow */
            assert_int_equal(path_clean(resolved[0], again, NULL), 0);
            assert_string_equal(again, resolved[0]);
            assert_int_equal(path_resolve(&roots[0], resolved[0], again, NULL), 0);
            assert_string_equal(again, resolved[0]);
        }
        close(rig.fd);
    }
    assert_true(followed > 300);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, tree_rig_setup, tree_rig_teardown)

static void takes(struct path_root *root, const char *name, uint64_t steps, const char *wanted)
{
    char resolved[PATH_ROOM];
    uint64_t left = 1000;

    root->steps = &left;
    assert_int_equal(path_resolve(root, name, resolved, NULL), 0);
    assert_string_equal(resolved, wanted);
    assert_int_equal(left, 1000 - steps);
}

/* What stands behind the first symlink is joined to the target, lexically; what it is itself is
 * not.
 */
static void bare_symlinks_are_only_those_that_begin_a_name(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "d");
    tree_rig_folder(rig, "p");
    tree_rig_folder(rig, "p/q");
    tree_rig_symlink(rig, "x", "p/q");
    tree_rig_symlink(rig, "m", "x/../y");
    tree_rig_symlink(rig, "d/l", "../m");
    tree_rig_symlink(rig, "a", "/");
    tree_rig_symlink(rig, "l", "m");
    tree_rig_symlink(rig, "up", "../m");
    sees(rig, "m", "p/y");
    sees(rig, "l", "p/y");
    sees(rig, "/l", "y");
    sees(rig, "/m", "y");
    sees(rig, "d/l", "y");
    sees(rig, "a/l", "y");
    sees(rig, "up", "y");
    /* a ".." that would lead above the target stands first then, and that is not bare */
    tree_rig_folder(rig, "p/y");
    tree_rig_symlink(rig, "p/y/here", ".");
    tree_rig_symlink(rig, "p/y/above", "../../m");
    sees(rig, "m/here", "y/here");
    sees(rig, "l/here", "p/y");
    sees(rig, "up/here", "y");
    sees(rig, "l/above", "y");
}

static void targets_may_be_spelt_at_length(void **state)
{
    struct tree_rig *rig = *state;
    char target[2 * 1920 + 2] = "", name[260] = "l/", wanted[260] = "d/";

    tree_rig_folder(rig, "d");
    for (int i = 0; i < 1920; i++)
        memcpy(target + 2 * i, "./", 3);
    strcat(target, "d");
    tree_rig_symlink(rig, "s", target);
    tree_rig_symlink(rig, "l", "s");
    memset(name + 2, 'c', 255);
    memset(wanted + 2, 'c', 255);
    sees(rig, name, wanted);
}

/* Each of forty symlinks leads up and down eight hundred times, a thousand folders below. */
static void a_name_that_leads_very_far_is_refused(void **state)
{
    struct tree_rig *rig = *state;
    char folder[2001] = "", target[5 * 800 + 8];
    scoped_fd int deep = -1;

    for (int i = 0; i < 1000; i++) {
        scoped_fd int parent = deep >= 0 ? take_fd(&deep) : dup(rig->fd);

        assert_int_equal(mkdirat(parent, "a", 0755), 0);
        deep = openat(parent, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        strcat(folder, "a/");
    }
    for (int link = 1; link < 40; link++) {
        char name[8], next[8];

        snprintf(name, sizeof(name), "z%d", link);
        snprintf(next, sizeof(next), "z%d", link + 1);
        target[0] = '\0';
        for (int i = 0; i < 800; i++)
            strcat(target, "../a/");
        strcat(target, link < 39 ? next : ".");
        assert_int_equal(symlinkat(target, deep, name), 0);
    }
    strcat(strcpy(target, folder), "z1");
    tree_rig_symlink(rig, "y", target);
    for (int components = 0; components < 2; components++) {
        struct path_root root = root_of(rig, components);
        char resolved[PATH_ROOM];
        uint64_t left = 1000000;

        root.steps = &left;
        assert_int_equal(path_resolve(&root, "y/q", resolved, &rig->why), CONDITION_INVALID);
        assert_non_null(strstr(rig->why.text, "too many folders and symlinks"));
        assert_int_equal(left, 0);
    }
}

static void folders_that_are_passed_are_counted(void **state)
{
    struct tree_rig *rig = *state;

    assert_int_equal(mkdirat(rig->fd, "a", 0755), 0);
    assert_int_equal(mkdirat(rig->fd, "a/b", 0755), 0);
    tree_rig_symlink(rig, "l", "a/b");
    tree_rig_symlink(rig, "m", "l");
    for (int components = 0; components < 2; components++) {
        struct path_root root = root_of(rig, components);
        char resolved[PATH_ROOM];
        uint64_t left = 2;

        takes(&root, "a/b", 2, "a/b");
        takes(&root, "a/b/none/x/y", 3, "a/b/none/x/y"); /* nothing is beneath what is not there */
        takes(&root, "l", 1 + 2, "a/b");
        takes(&root, "l/x", 1 + 3 + 3,
              "a/b/x"); /* behind a symlink, "a/b/x" is looked up as a whole */
        /* "m", "l/x"; that again, by the root, l, a, b, x; "l", "a/b/x"; a, b, x */
        takes(&root, "m/x", 1 + 2 + 5 + 1 + 3 + 3, "a/b/x");
        takes(&root, "a/b/../b", 2 + 1 + 1, "a/b");
        takes(&root, "a/./././b", 2, "a/b");

        root.steps = &left;
        assert_int_equal(path_resolve(&root, "l", resolved, &rig->why), CONDITION_INVALID);
        assert_non_null(strstr(rig->why.text, "too many folders and symlinks"));
        assert_int_equal(left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cleaned_as_go_does),
        cmocka_unit_test(a_name_that_does_not_fit_is_refused),
        cmocka_unit_test(the_base_is_what_follows_the_last_slash),
        with_rig(bare_symlinks_are_only_those_that_begin_a_name),
        with_rig(targets_may_be_spelt_at_length),
        with_rig(a_name_that_leads_very_far_is_refused),
        with_rig(folders_that_are_passed_are_counted),
        with_rig(symlinks_stay_inside),
        with_rig(dots_behind_a_symlink_are_of_where_it_leads),
        with_rig(what_does_not_exist_is_taken_as_spelt),
        with_rig(circles_and_long_chains_end),
        with_rig(names_that_grow_too_long_are_refused),
        with_rig(only_what_is_resolved_is_opened),
        with_rig(a_component_beyond_255_bytes_is_too_long),
        with_rig(a_file_on_the_way_is_no_folder),
        with_rig(both_ways_agree_on_any_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
