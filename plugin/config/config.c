/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/owner.h"
#include "base/scoped.h"
#include "base/word.h"
#include "config/settings.h"
#include "config/toml_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST ((size_t)64 << 10) /* bytes; a full file with comments has 4 KiB */
#define KEY_MOST 64
#define ADDRESS_FOLDER_MOST 96 /* leaves room for the name that the socket has while it is made */

int config_defaults(struct config *config, struct reason *why)
{
    *config = (struct config){
        .root = strdup("/var/lib/cowsnap"),
        .address = strdup("/run/cowsnap/cowsnap.sock"),
        .backend = "btrfs",
        .content_root = strdup("/var/lib/containerd/io.containerd.content.v1.content"),
        .pool.mount_style = MOUNT_STYLE_BIND,
        .log.level = LOG_LEVEL_INFO,
        .log.format = LOG_FORMAT_TEXT,
        .apply.io_engine = "auto",
        .apply.ratio_limit = 500,
        .apply.allow_device_nodes = true,
        .apply.record_content = true,
        .server.grace_seconds = 30,
        .snapshots.seal = true,
        .snapshots.stock = 128,
    };
    if (!config->root || !config->address || !config->content_root)
        return failure(why, ENOMEM, "reading the configuration");
    return 0;
}

void config_clear(struct config *config)
{
    free(config->root);
    free(config->address);
    free(config->content_root);
    free(config->pool.path);
    free(config->dm_thin.pool);
    free(config->dm_thin.data_device);
    free(config->dm_thin.metadata_device);
    *config = (struct config){0};
}

struct reading {
    struct config *config;
    const char *name;
};

/* The name of the section that a setting's key begins with; empty for one of the top level. */
static struct bytes section_of(const char *key)
{
    const char *dot = strchr(key, '.');

    return bytes_from(key, dot ? (size_t)(dot - key) : 0);
}

static const char *last_part_of(const char *key)
{
    const char *dot = strchr(key, '.');

    return dot ? dot + 1 : key;
}

static bool is_section(struct bytes name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (name.length > 0 && bytes_equal(name, section_of(settings[i].key)))
            return true;
    return false;
}

/* The key as a person would write it: bare where TOML allows that, else between quotes. */
static const char *name_of_key(const struct toml_item *item, char *buffer, size_t size)
{
    char key[KEY_MOST + 16];
    bool bare = item->key.length > 0 && item->key.length < KEY_MOST;

    for (size_t i = 0; i < item->key.length && bare; i++) {
        uint8_t byte = item->key.data[i];

        bare = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
               (byte >= '0' && byte <= '9') || byte == '_' || byte == '-';
    }
    if (bare)
        snprintf(key, sizeof(key), "%.*s", (int)item->key.length, (const char *)item->key.data);
    else
        bytes_quote(item->key, key, sizeof(key));
    /* A section that has visits is one of ours: short, and clean. */
    if (item->section.length > 0)
        snprintf(buffer, size, "%.*s.%s", (int)item->section.length,
                 (const char *)item->section.data, key);
    else
        snprintf(buffer, size, "%s", key);
    return buffer;
}

/* The setting that KEY was most likely meant to be, NULL when none is near. A key whose last part
 * alone fits was put into the wrong section. */
static const char *nearest_key(struct bytes section, struct bytes key)
{
    const char *nearest = NULL;
    unsigned least = UINT_MAX;

    for (size_t i = 0; i < SETTINGS; i++) {
        struct bytes last = bytes_of(last_part_of(settings[i].key));
        unsigned distance = word_distance(key, last);

        if (!word_is_near(key, distance))
            continue;
        distance = distance * 2 + !bytes_equal(section, section_of(settings[i].key));
        if (distance < least) {
            least = distance;
            nearest = settings[i].key;
        }
    }
    return nearest;
}

static struct bytes nearest_section(struct bytes name)
{
    struct bytes nearest = {0};
    unsigned least = UINT_MAX;

    for (size_t i = 0; i < SETTINGS; i++) {
        struct bytes section = section_of(settings[i].key);
        unsigned distance = word_distance(name, section);

        if (section.length > 0 && distance < least && word_is_near(name, distance)) {
            least = distance;
            nearest = section;
        }
    }
    return nearest;
}

/* "path, size, mount_type": the keys of a section, or of the top level. */
static const char *list_keys(struct bytes section, char *buffer, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < SETTINGS && used < size; i++)
        if (bytes_equal(section, section_of(settings[i].key)))
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? ", " : "",
                                     last_part_of(settings[i].key));
    return buffer;
}

static const char *list_sections(char *buffer, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < SETTINGS && used < size; i++) {
        struct bytes section = section_of(settings[i].key);

        if (section.length > 0 && !bytes_equal(section, section_of(settings[i - 1].key)))
            used += (size_t)snprintf(buffer + used, size - used, "%s[%.*s]", used ? ", " : "",
                                     (int)section.length, (const char *)section.data);
    }
    return buffer;
}

static int refuse_section(const struct reading *reading, const struct toml_item *item,
                          const char *name, struct reason *why)
{
    struct bytes nearest = nearest_section(item->key);
    char list[256];

    if (nearest.length > 0)
        return refuse(why, CONDITION_INVALID, "%s:%u: [%s] is not a section; did you mean [%.*s]?",
                      reading->name, item->line, name, (int)nearest.length,
                      (const char *)nearest.data);
    return refuse(why, CONDITION_INVALID, "%s:%u: [%s] is not a section; there are %s",
                  reading->name, item->line, name, list_sections(list, sizeof(list)));
}

static int refuse_key(const struct reading *reading, const struct toml_item *item, const char *name,
                      struct reason *why)
{
    const char *nearest = nearest_key(item->section, item->key);
    char list[256];

    if (nearest)
        return refuse(why, CONDITION_INVALID, "%s:%u: %s is not a setting; did you mean %s?",
                      reading->name, item->line, name, nearest);
    if (item->section.length == 0)
        return refuse(why, CONDITION_INVALID,
                      "%s:%u: %s is not a setting; outside a section there are %s", reading->name,
                      item->line, name, list_keys(item->section, list, sizeof(list)));
    return refuse(why, CONDITION_INVALID, "%s:%u: %s is not a setting; in [%.*s] there are %s",
                  reading->name, item->line, name, (int)item->section.length,
                  (const char *)item->section.data, list_keys(item->section, list, sizeof(list)));
}

static const struct setting *setting_of(const struct toml_item *item)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (bytes_equal(item->section, section_of(settings[i].key)) &&
            bytes_equal(item->key, bytes_of(last_part_of(settings[i].key))))
            return &settings[i];
    return NULL;
}

static int put_item(void *context, const struct toml_item *item, struct reason *why)
{
    const struct reading *reading = context;
    const struct setting *setting = setting_of(item);
    char name[KEY_MOST * 2];
    int result = 0;

    name_of_key(item, name, sizeof(name));
    if (item->section.length == 0 && is_section(item->key)) {
        if (item->kind == TOML_TABLE)
            return 0;
        return refuse(why, CONDITION_INVALID, "%s:%u: %s must be a section, [%s], not %s",
                      reading->name, item->line, name, name, item->kind_name);
    }
    if (!setting && item->section.length == 0 && item->kind == TOML_TABLE)
        return refuse_section(reading, item, name, why);
    if (!setting)
        return refuse_key(reading, item, name, why);
    switch (item->kind) {
    case TOML_STRING:
        result = setting_put_text(setting, reading->config, item->string, why);
        break;
    case TOML_INTEGER:
        result = setting_put_number(setting, reading->config, item->integer, why);
        break;
    case TOML_BOOLEAN:
        result = setting_put_switch(setting, reading->config, item->boolean, why);
        break;
    case TOML_TABLE:
    case TOML_OTHER:
        result = refuse(why, CONDITION_INVALID, "must be %s, not %s", setting_wants(setting),
                        item->kind_name);
        break;
    }
    return result ? amend(why, result, "%s:%u: %s", reading->name, item->line, name) : 0;
}

int config_read(struct config *config, struct bytes document, const char *name, struct reason *why)
{
    struct reading reading = {config, name};

    return toml_read(document, name, put_item, &reading, why);
}

int config_read_file(struct config *config, const char *path, bool may_miss, struct reason *why)
{
    scoped_free char *text = malloc(FILE_MOST + 1);
    scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat stat;
    size_t length = 0;

    if (!text)
        return failure(why, ENOMEM, "reading %s", quoted(bytes_of(path)));
    if (fd < 0 && errno == ENOENT && may_miss)
        return 0;
    if (fd < 0)
        return failure(why, errno, "cannot open the configuration file %s", quoted(bytes_of(path)));
    if (fstat(fd, &stat) < 0)
        return failure(why, errno, "cannot read the configuration file %s", quoted(bytes_of(path)));
    if (S_ISDIR(stat.st_mode))
        return refuse(why, CONDITION_INVALID, "%s is a folder; --config wants a file",
                      quoted(bytes_of(path)));
    /* what comes through a pipe is whoever's who started the daemon */
    int trusted = S_ISREG(stat.st_mode) ? owner_check(&stat, path, why) : 0;
    if (trusted)
        return trusted;
    for (;;) {
        ssize_t got = read(fd, text + length, FILE_MOST + 1 - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failure(why, errno, "cannot read the configuration file %s",
                           quoted(bytes_of(path)));
        length += (size_t)got;
        if (got == 0)
            break;
        if (length > FILE_MOST)
            return refuse(why, CONDITION_INVALID,
                          "%s is larger than %zu KiB; a configuration file is not",
                          quoted(bytes_of(path)), FILE_MOST >> 10);
    }
    return config_read(config, bytes_from(text, length), path, why);
}

static int check_dm_thin(const struct config *config, struct reason *why)
{
    if (!config->dm_thin.data_device != !config->dm_thin.metadata_device)
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.data_device and dm_thin.metadata_device go together; set both or "
                      "neither");
    if (config->dm_thin.pool && config->dm_thin.data_device)
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.pool is a pool that is there already and does not go with "
                      "dm_thin.data_device; leave one of them out");
    if (config->pool.path)
        return refuse(why, CONDITION_INVALID,
                      "pool.path is a folder and does not go with backend \"dm-thin\"; name a pool "
                      "or devices in [dm_thin], or nothing");
    if (config->pool.size > 0 && (config->dm_thin.pool || config->dm_thin.data_device))
        return refuse(why, CONDITION_INVALID,
                      "pool.size is for the pool that the daemon makes itself and does not go with "
                      "dm_thin.%s; leave one of them out",
                      config->dm_thin.pool ? "pool" : "data_device");
    return 0;
}

/* The first setting of [dm_thin] that says something, or NULL. */
static const char *setting_of_dm_thin(const struct config *config)
{
    return config->dm_thin.pool              ? "pool"
           : config->dm_thin.data_device     ? "data_device"
           : config->dm_thin.metadata_device ? "metadata_device"
           : config->dm_thin.file_system     ? "file_system"
           : config->dm_thin.volume_size > 0 ? "volume_size"
                                             : NULL;
}

/* What the socket's name must be like, since another is made beside it first (rpc/socket.c). */
static int check_address(const char *address, struct reason *why)
{
    const char *name = strrchr(address, '/') + 1;

    if (!*name)
        return refuse(why, CONDITION_INVALID,
                      "address %s is the name of a folder; name a socket in it, as in "
                      "%scowsnap.sock",
                      quoted(bytes_of(address)), address);
    if (name - 1 - address > ADDRESS_FOLDER_MOST)
        return refuse(
            why, CONDITION_INVALID,
            "address %s lies in a folder whose name has %td bytes; at most %d are allowed",
            quoted(bytes_of(address)), name - 1 - address, ADDRESS_FOLDER_MOST);
    return 0;
}

int config_check(const struct config *config, struct reason *why)
{
    bool dm_thin = strcmp(config->backend, "dm-thin") == 0;
    int result = check_address(config->address, why);

    if (result)
        return result;
    if (strcmp(config->root, "/") == 0)
        return refuse(why, CONDITION_INVALID,
                      "root must be a folder of cowsnap's own, not \"/\"; the default is "
                      "/var/lib/cowsnap");
    if (dm_thin && config->pool.mount_style == MOUNT_STYLE_BTRFS)
        return refuse(why, CONDITION_INVALID,
                      "pool.mount_type \"btrfs\" does not go with backend \"dm-thin\"; leave "
                      "pool.mount_type out");
    if (dm_thin)
        return check_dm_thin(config, why);
    const char *of_dm_thin = setting_of_dm_thin(config);
    if (of_dm_thin)
        return refuse(why, CONDITION_INVALID,
                      "dm_thin.%s does not go with backend \"%s\"; set backend = \"dm-thin\", or "
                      "leave it out",
                      of_dm_thin, config->backend);
    if (config->pool.path && config->pool.size > 0)
        return refuse(why, CONDITION_INVALID,
                      "pool.size is for the pool that the daemon makes itself and does not go with "
                      "pool.path; leave one of them out");
    return 0;
}
