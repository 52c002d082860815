/* SPDX-License-Identifier: Apache-2.0 */

/*
 * containerd keeps a record of each snapshot beside ours, and a pull looks there first: as long as
 * it has one, Prepare and Commit of that name are "already exists", whatever we say of it
 * (core/metadata/snapshot.go). So a layer that is removed here has to be removed there too, before
 * a pull makes it anew. `ctr snapshots rm` does that, also when our record is gone already.
 */

#include "cli/advice.h"

#include "base/scoped.h"
#include "cli/containerd_view.h"
#include "cli/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *advice_kind_name(enum check_kind kind)
{
    switch (kind) {
    case CHECK_RECORD_UNREADABLE:
        return "record-unreadable";
    case CHECK_VOLUME_MISSING:
        return "volume-missing";
    case CHECK_VOLUME_UNKNOWN:
        return "volume-unknown";
    case CHECK_PARENT_MISSING:
        return "parent-missing";
    case CHECK_PARENT_NOT_COMMITTED:
        return "parent-not-committed";
    case CHECK_INDEX_LACKS:
        return "index-lacks";
    case CHECK_INDEX_STALE:
        return "index-stale";
    case CHECK_CONTENT:
        return "content";
    case CHECK_CONTAINERD_NEEDS:
        return "containerd-needs";
    case CHECK_CONTAINERD_LACKS:
        return "containerd-lacks";
    }
    return "unknown";
}

const char *advice_outcome_name(enum check_outcome outcome)
{
    switch (outcome) {
    case CHECK_REPAIRABLE:
        return "repairable";
    case CHECK_REPAIRED:
        return "repaired";
    case CHECK_HAS_CHILDREN:
        return "has-children";
    case CHECK_IN_USE:
        return "in-use";
    case CHECK_BY_HAND:
        return "by-hand";
    case CHECK_WRONG_POOL:
        return "wrong-pool";
    }
    return "unknown";
}

/* asprintf(3) that leaves NULL when memory is out. */
static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
    char *made = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&made, format, arguments) < 0)
        made = NULL;
    va_end(arguments);
    return made;
}

char *advice_thing(const struct check_finding *finding)
{
    unsigned long long id = finding->id;
    scoped_free char *key = NULL;

    if (finding->kind == CHECK_VOLUME_UNKNOWN)
        return text("volume %llu", id);
    if (finding->key.length == 0)
        return text("record #%llu", id);
    key = text_shown(finding->key);
    if (key && finding->kind == CHECK_CONTAINERD_NEEDS)
        return text("containerd's snapshot %s", key);
    return key ? text("snapshot %s (#%llu)", key, id) : NULL;
}

/* ---- commands for containerd ---- */

/* Whether no shell makes anything else of it, quoted or not, nor ctr an option. */
static bool is_plain(struct bytes word)
{
    for (size_t i = 0; i < word.length; i++) {
        uint8_t byte = word.data[i];

        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
              (byte >= '0' && byte <= '9') || (byte && strchr("._:@%+=/-", byte))))
            return false;
    }
    return word.length > 0 && word.data[0] != '-';
}

/* How containerd is made to forget the snapshot; a sentence in words where its key is not one that
 * containerd makes, or cannot be pasted. */
static char *forget_name(struct bytes name_space, struct bytes name)
{
    if (!is_plain(name_space) || !is_plain(name))
        return text("remove it through whatever made it");
    return text("ctr -n %.*s snapshots --snapshotter cowsnap rm %.*s", (int)name_space.length,
                (const char *)name_space.data, (int)name.length, (const char *)name.data);
}

static char *forget_command(struct bytes key)
{
    struct bytes name_space, name;

    if (!containerd_key_split(key, &name_space, &name))
        return text("remove it through whatever made it");
    return forget_name(name_space, name);
}

/* How its image is removed, with all its layers. */
static char *image_command(struct bytes key)
{
    struct bytes name_space, name;

    if (!containerd_key_split(key, &name_space, &name) || !is_plain(name_space))
        return text("remove what was made of it");
    if (bytes_equal(name_space, bytes_of("k8s.io")))
        return text("crictl rmi IMAGE");
    return text("ctr -n %.*s images rm --sync IMAGE", (int)name_space.length,
                (const char *)name_space.data);
}

/* ---- what to do ---- */

static char *say_repaired(const struct check_finding *finding)
{
    scoped_free char *forget = NULL;

    switch (finding->kind) {
    case CHECK_VOLUME_MISSING:
        forget = forget_command(finding->key);
        return forget ? text("removed; for containerd to make it anew: %s, then pull its image "
                             "again",
                             forget)
                      : NULL;
    case CHECK_VOLUME_UNKNOWN:
        return text("it is being removed");
    case CHECK_RECORD_UNREADABLE:
        return text("dropped, and its volume is being removed; if an image fails to start a "
                    "container now, remove it and pull it again");
    case CHECK_PARENT_MISSING:
    case CHECK_PARENT_NOT_COMMITTED:
        return text("it was removed, see what else is wrong with it");
    default:
        return text("mended");
    }
}

static char *say_repairable(const struct check_finding *finding)
{
    bool index = finding->kind == CHECK_INDEX_LACKS || finding->kind == CHECK_INDEX_STALE;

    return text("'cowsnap check --repair' %s it", index ? "mends" : "removes");
}

static char *say_children(const struct check_finding *finding)
{
    scoped_free char *image = image_command(finding->key);

    return image ? text("not safe to remove: 'cowsnap tree' shows what was made of it; remove the "
                        "containers of its image, then the image (%s), check again with --repair, "
                        "and pull the image again",
                        image)
                 : NULL;
}

static char *say_content(const struct check_finding *finding)
{
    scoped_free char *image = image_command(finding->key);

    return image
               ? text("remove the containers of its image, then the image (%s), and pull it again; "
                      "look into the kernel's log for what its disk did",
                      image)
               : NULL;
}

/* The key is <namespace>/<name>, and a namespace has no slash. */
static char *say_needed(const struct check_finding *finding)
{
    const uint8_t *slash = memchr(finding->key.data, '/', finding->key.length);
    size_t length = slash ? (size_t)(slash - finding->key.data) : 0;
    scoped_free char *forget =
        forget_name(bytes_from(finding->key.data, length),
                    bytes_from(finding->key.data + length + 1, finding->key.length - length - 1));

    return forget
               ? text("no pull makes it anew as long as containerd has it: remove the containers "
                      "of its image, then: %s, and pull the image again",
                      forget)
               : NULL;
}

static char *say_by_hand(const struct check_finding *finding)
{
    scoped_free char *forget = NULL;

    if (finding->kind == CHECK_CONTENT)
        return say_content(finding);
    if (finding->kind == CHECK_CONTAINERD_NEEDS)
        return say_needed(finding);
    if (finding->kind == CHECK_CONTAINERD_LACKS)
        return text("containerd's next garbage collection removes it; restart containerd to have "
                    "one now");
    forget = forget_command(finding->key);
    if (!forget)
        return NULL;
    if (finding->kind == CHECK_INDEX_LACKS)
        return text("another snapshot has this key: %s, then check again with --repair", forget);
    return text("it is kept, since its own files may be whole; remove the containers of its image, "
                "then: %s, and pull the image again",
                forget);
}

char *advice_text(const struct check_finding *finding)
{
    switch (finding->outcome) {
    case CHECK_REPAIRED:
        return say_repaired(finding);
    case CHECK_REPAIRABLE:
        return say_repairable(finding);
    case CHECK_HAS_CHILDREN:
        return say_children(finding);
    case CHECK_IN_USE:
        return text("not safe to remove: something is at work on it now; check again later");
    case CHECK_BY_HAND:
        return say_by_hand(finding);
    case CHECK_WRONG_POOL:
        return text("kept, since this pool has the volume of not one snapshot: give cowsnapd the "
                    "pool that belongs to its root; if that is lost for good, remove all "
                    "containers and images of this snapshotter, stop cowsnapd, move the folder "
                    "meta in its root away, run `cowsnapd --forget-volumes` once, which ends all "
                    "volumes of this pool, stop that with Ctrl-C, and start cowsnapd again");
    }
    return text("cowsnapd is newer than this cowsnap: use the cowsnap that came with it");
}
