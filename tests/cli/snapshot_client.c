/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots with any key, from a script:
 *
 *     snapshot_client SOCKET prepare KEY [PARENT]
 *     snapshot_client SOCKET view KEY PARENT
 *     snapshot_client SOCKET commit NAME KEY
 *     snapshot_client SOCKET remove KEY
 *     snapshot_client SOCKET stat|mounts|usage KEY
 *     snapshot_client SOCKET list|cleanup
 *     snapshot_client SOCKET batch     lines "VERB KEY [KEY]" from standard input
 *
 * In a key, \xHH stands for that byte. prepare and mounts print the folder or device to be mounted,
 * usage bytes and inodes, stat the kind, list the keys; batch at the end how many milliseconds it
 * took. A refusal is printed with the name of its gRPC status before it.
 */

#include "base/scoped.h"
#include "rpc/snapshots_client.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int hex(char digit)
{
    return isdigit((unsigned char)digit) ? digit - '0' : tolower(digit) - 'a' + 10;
}

/* Decodes in place. */
static struct bytes key_of(char *text)
{
    uint8_t *target = (uint8_t *)text;
    const uint8_t *begin = target;

    for (const char *at = text; *at; target++)
        if (at[0] == '\\' && at[1] == 'x' && at[2] && at[3]) {
            *target = (uint8_t)(hex(at[2]) << 4 | hex(at[3]));
            at += 4;
        } else {
            *target = (uint8_t)*at++;
        }
    return bytes_from(begin, (size_t)(target - begin));
}

static int print_source(int result, const struct client_mounts *mounts)
{
    if (result == 0 && mounts->list.count > 0)
        puts(mounts->list.items[0].source);
    return result;
}

static int prepare(struct client *client, struct bytes key, struct bytes parent, struct reason *why)
{
    scoped(client_mounts_clear) struct client_mounts mounts = {0};

    return print_source(snapshots_client_prepare(client, key, parent, NULL, 0, &mounts, why),
                        &mounts);
}

static int ask_mounts(struct client *client, struct bytes key, struct reason *why)
{
    scoped(client_mounts_clear) struct client_mounts mounts = {0};

    return print_source(snapshots_client_mounts(client, key, &mounts, why), &mounts);
}

static int ask_usage(struct client *client, struct bytes key, struct reason *why)
{
    struct volume_usage usage;
    int result = snapshots_client_usage(client, key, &usage, why);

    if (result == 0)
        printf("%" PRIu64 " %" PRIu64 "\n", usage.bytes, usage.inodes);
    return result;
}

static int print_kind(void *context, const struct snapshot_info *info, struct reason *why)
{
    static const char *const kinds[] = {
        [SNAPSHOT_VIEW] = "view", [SNAPSHOT_ACTIVE] = "active", [SNAPSHOT_COMMITTED] = "committed"};

    (void)context;
    (void)why;
    puts(kinds[info->kind]);
    return 0;
}

static int print_key(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)context;
    (void)why;
    printf("%.*s\n", (int)info->key.length, (const char *)info->key.data);
    return 0;
}

static int run(struct client *client, const char *verb, struct bytes first, struct bytes second,
               struct reason *why)
{
    if (strcmp(verb, "prepare") == 0)
        return prepare(client, first, second, why);
    if (strcmp(verb, "stat") == 0)
        return snapshots_client_stat(client, first, print_kind, NULL, why);
    if (strcmp(verb, "mounts") == 0)
        return ask_mounts(client, first, why);
    if (strcmp(verb, "usage") == 0)
        return ask_usage(client, first, why);
    if (strcmp(verb, "list") == 0)
        return snapshots_client_list(client, NULL, 0, print_key, NULL, why);
    if (strcmp(verb, "cleanup") == 0)
        return snapshots_client_cleanup(client, why);
    if (strcmp(verb, "view") == 0)
        return snapshots_client_view(client, first, second, NULL, 0, NULL, why);
    if (strcmp(verb, "commit") == 0)
        return snapshots_client_commit(client, first, second, bytes_of(NULL), NULL, 0, why);
    if (strcmp(verb, "remove") == 0)
        return snapshots_client_remove(client, first, why);
    return refuse(why, CONDITION_INVALID, "there is no verb %s", verb);
}

static double milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int run_batch(struct client *client, struct reason *why)
{
    double began = milliseconds();
    char line[1024];
    int result = 0;

    while (result == 0 && fgets(line, sizeof(line), stdin)) {
        char *rest = line, *words[3] = {0};

        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < 3 && rest; i++)
            words[i] = strsep(&rest, " ");
        result = run(client, words[0], words[1] ? key_of(words[1]) : bytes_of(NULL),
                     words[2] ? key_of(words[2]) : bytes_of(NULL), why);
    }
    if (result == 0)
        printf("%.0f\n", milliseconds() - began);
    return result;
}

int main(int argc, char **argv)
{
    struct client *client = NULL;
    struct reason why = {0};
    int result;

    if (argc < 3 || argc > 5) {
        fputs("usage: snapshot_client SOCKET VERB [KEY [KEY]]\n", stderr);
        return 2;
    }
    result = client_open(&client, argv[1], &why);
    if (result == 0)
        result = strcmp(argv[2], "batch") == 0
                     ? run_batch(client, &why)
                     : run(client, argv[2], argc > 3 ? key_of(argv[3]) : bytes_of(NULL),
                           argc > 4 ? key_of(argv[4]) : bytes_of(NULL), &why);
    client_close(client);
    if (result)
        fprintf(stderr, "snapshot_client: %s: %s\n", status_name((int)status_of(result)), why.text);
    return result ? 1 : 0;
}
