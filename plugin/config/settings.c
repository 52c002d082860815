/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include "base/size.h"
#include "snapshot/stock.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

/* In the order of the enums they stand for, where they stand for one. */
static const char *const backends[] = {"btrfs", "dm-thin", NULL};
static const char *const mount_types[] = {"bind", "btrfs", NULL};
static const char *const file_systems[] = {"ext4", "xfs", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const io_engines[] = {"auto", "io_uring", "plain", NULL};

_Static_assert(MOUNT_STYLE_BIND == 0 && MOUNT_STYLE_BTRFS == 1, "order of mount_types");
_Static_assert(LOG_LEVEL_DEBUG == 0 && LOG_LEVEL_ERROR == 3, "order of log_levels");
_Static_assert(LOG_FORMAT_TEXT == 0 && LOG_FORMAT_JSON == 1, "order of log_formats");

#define PATH_MOST (PATH_MAX - 256) /* room for the names below it */
#define SOCKET_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define EIB ((uint64_t)1 << 60)

#define AT(field) .offset = offsetof(struct config, field)

const struct setting settings[] = {
    {"root", "root", SETTING_PATH, AT(root), .most = PATH_MOST},
    {"address", "address", SETTING_PATH, AT(address), .most = SOCKET_MOST},
    {"backend", "backend", SETTING_NAME, AT(backend), .names = backends},
    {"content_root", "content-root", SETTING_PATH, AT(content_root), .most = PATH_MOST},
    {"pool.path", NULL, SETTING_PATH, AT(pool.path), .most = PATH_MOST},
    {"pool.size", "pool-size", SETTING_SIZE, AT(pool.size), .least = 128 * MIB, .most = EIB},
    {"pool.mount_type", NULL, SETTING_CHOICE, AT(pool.mount_style), .names = mount_types},
    {"dm_thin.pool", NULL, SETTING_PATH, AT(dm_thin.pool), .most = PATH_MOST},
    {"dm_thin.data_device", NULL, SETTING_PATH, AT(dm_thin.data_device), .most = PATH_MOST},
    {"dm_thin.metadata_device", NULL, SETTING_PATH, AT(dm_thin.metadata_device), .most = PATH_MOST},
    {"dm_thin.file_system", NULL, SETTING_NAME, AT(dm_thin.file_system), .names = file_systems},
    {"dm_thin.volume_size", NULL, SETTING_SIZE, AT(dm_thin.volume_size), .least = GIB,
     .most = 16 * TIB},
    {"log.level", "log-level", SETTING_CHOICE, AT(log.level), .names = log_levels},
    {"log.format", "log-format", SETTING_CHOICE, AT(log.format), .names = log_formats},
    {"apply.io_engine", "io-engine", SETTING_NAME, AT(apply.io_engine), .names = io_engines},
    {"apply.writers", NULL, SETTING_NUMBER, AT(apply.writers), .most = 32},
    {"apply.concurrent", NULL, SETTING_NUMBER, AT(apply.concurrent), .most = 64},
    {"apply.verify_blobs", NULL, SETTING_SWITCH, AT(apply.verify_blobs)},
    {"apply.size_limit", NULL, SETTING_SIZE, AT(apply.size_limit), .least = MIB, .most = EIB},
    {"apply.ratio_limit", NULL, SETTING_NUMBER, AT(apply.ratio_limit), .most = 1000000},
    {"apply.allow_device_nodes", NULL, SETTING_SWITCH, AT(apply.allow_device_nodes)},
    {"apply.record_content", NULL, SETTING_SWITCH, AT(apply.record_content)},
    {"server.workers", NULL, SETTING_NUMBER, AT(server.workers), .most = 256},
    {"server.queue_limit", NULL, SETTING_NUMBER, AT(server.queue_limit), .most = 65536},
    {"server.grace_seconds", NULL, SETTING_NUMBER, AT(server.grace_seconds), .most = 3600},
    {"snapshots.share_layers", NULL, SETTING_SWITCH, AT(snapshots.share_layers)},
    {"snapshots.seal", NULL, SETTING_SWITCH, AT(snapshots.seal)},
    {"snapshots.stock", NULL, SETTING_NUMBER, AT(snapshots.stock), .most = STOCK_MOST},
};
_Static_assert(sizeof(settings) / sizeof(settings[0]) == SETTINGS, "SETTINGS counts them");

#define FIELD(setting, config, type) ((type *)((char *)(config) + (setting)->offset))

/* `"a", "b" or "c"`. */
static const char *list_names(const char *const *names, char *buffer, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; names[i] && used < size; i++) {
        const char *join = i == 0 ? "" : names[i + 1] ? ", " : " or ";

        used += (size_t)snprintf(buffer + used, size - used, "%s\"%s\"", join, names[i]);
    }
    return buffer;
}

static int put_path(const struct setting *setting, struct config *config, struct bytes text,
                    struct reason *why)
{
    char **field = FIELD(setting, config, char *);
    char *copy;

    if (text.length == 0 || text.data[0] != '/')
        return refuse(why, CONDITION_INVALID, "must be an absolute path, not %s", quoted(text));
    if (memchr(text.data, '\0', text.length))
        return refuse(why, CONDITION_INVALID, "must be a path without a NUL byte, not %s",
                      quoted(text));
    if (text.length > setting->most)
        return refuse(why, CONDITION_INVALID, "must be at most %zu bytes long, and is %zu",
                      (size_t)setting->most, text.length);
    /* a folder is the same without; of the socket it says that it is none */
    while (text.length > 1 && text.data[text.length - 1] == '/' &&
           setting->offset != offsetof(struct config, address))
        text.length--;
    copy = (char *)bytes_copy(text);
    if (!copy)
        return failure(why, ENOMEM, "reading the configuration");
    free(*field);
    *field = copy;
    return 0;
}

static int put_one_of(const struct setting *setting, struct config *config, struct bytes text,
                      struct reason *why)
{
    char list[128];

    for (unsigned i = 0; setting->names[i]; i++)
        if (bytes_equal(text, bytes_of(setting->names[i]))) {
            if (setting->kind == SETTING_NAME)
                *FIELD(setting, config, const char *) = setting->names[i];
            else
                *FIELD(setting, config, unsigned) = i;
            return 0;
        }
    return refuse(why, CONDITION_INVALID, "must be %s, not %s",
                  list_names(setting->names, list, sizeof(list)), quoted(text));
}

static int put_size(const struct setting *setting, struct config *config, uint64_t size,
                    struct reason *why)
{
    if (size != 0 && (size < setting->least || size > setting->most))
        return refuse(why, CONDITION_INVALID, "must be 0 or from %s to %s, not %s",
                      size_text(setting->least), size_text(setting->most), size_text(size));
    *FIELD(setting, config, uint64_t) = size;
    return 0;
}

int setting_put_text(const struct setting *setting, struct config *config, struct bytes text,
                     struct reason *why)
{
    uint64_t size;
    int result;

    switch (setting->kind) {
    case SETTING_PATH:
        return put_path(setting, config, text, why);
    case SETTING_NAME:
    case SETTING_CHOICE:
        return put_one_of(setting, config, text, why);
    case SETTING_SIZE:
        result = size_parse(text, &size, why);
        return result ? result : put_size(setting, config, size, why);
    case SETTING_NUMBER:
    case SETTING_SWITCH:
        break;
    }
    return refuse(why, CONDITION_INVALID, "must be %s, not a string", setting_wants(setting));
}

int setting_put_number(const struct setting *setting, struct config *config, int64_t number,
                       struct reason *why)
{
    if (setting->kind == SETTING_SIZE && number >= 0)
        return put_size(setting, config, (uint64_t)number, why);
    if (setting->kind == SETTING_SIZE)
        return refuse(why, CONDITION_INVALID, "must not be negative, and is %lld",
                      (long long)number);
    if (setting->kind != SETTING_NUMBER)
        return refuse(why, CONDITION_INVALID, "must be %s, not an integer", setting_wants(setting));
    if (number < (int64_t)setting->least || number > (int64_t)setting->most)
        return refuse(why, CONDITION_INVALID, "must be from %llu to %llu, not %lld",
                      (unsigned long long)setting->least, (unsigned long long)setting->most,
                      (long long)number);
    *FIELD(setting, config, unsigned) = (unsigned)number;
    return 0;
}

int setting_put_switch(const struct setting *setting, struct config *config, bool on,
                       struct reason *why)
{
    if (setting->kind != SETTING_SWITCH)
        return refuse(why, CONDITION_INVALID, "must be %s, not a boolean", setting_wants(setting));
    *FIELD(setting, config, bool) = on;
    return 0;
}

const char *setting_wants(const struct setting *setting)
{
    switch (setting->kind) {
    case SETTING_PATH:
        return "a string, an absolute path";
    case SETTING_NAME:
    case SETTING_CHOICE:
        return "a string";
    case SETTING_SIZE:
        return "a size, such as \"20GiB\"";
    case SETTING_NUMBER:
        return "an integer";
    case SETTING_SWITCH:
        return "a boolean, true or false";
    }
    return "something else";
}
