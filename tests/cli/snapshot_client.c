/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Snapshots with any key, from a script:
 *
 *     snapshot_client SOCKET prepare KEY [PARENT]
 *     snapshot_client SOCKET view KEY PARENT
 *     snapshot_client SOCKET commit NAME KEY
 *     snapshot_client SOCKET remove KEY
 *
 * In a key, \xHH stands for that byte. prepare prints the folder to be mounted.
 */

#include "base/scoped.h"
#include "rpc/snapshots_client.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

static int prepare(struct client *client, struct bytes key, struct bytes parent, struct reason *why)
{
    scoped(client_mounts_clear) struct client_mounts mounts = {0};
    int result = snapshots_client_prepare(client, key, parent, NULL, 0, &mounts, why);

    if (result == 0 && mounts.list.count > 0)
        puts(mounts.list.items[0].source);
    return result;
}

static int run(struct client *client, const char *verb, struct bytes first, struct bytes second,
               struct reason *why)
{
    if (strcmp(verb, "prepare") == 0)
        return prepare(client, first, second, why);
    if (strcmp(verb, "view") == 0)
        return snapshots_client_view(client, first, second, NULL, 0, NULL, why);
    if (strcmp(verb, "commit") == 0)
        return snapshots_client_commit(client, first, second, bytes_of(NULL), NULL, 0, why);
    if (strcmp(verb, "remove") == 0)
        return snapshots_client_remove(client, first, why);
    return refuse(why, CONDITION_INVALID, "there is no verb %s", verb);
}

int main(int argc, char **argv)
{
    struct client *client = NULL;
    struct reason why = {0};
    int result;

    if (argc < 4 || argc > 5) {
        fputs("usage: snapshot_client SOCKET VERB KEY [KEY]\n", stderr);
        return 2;
    }
    result = client_open(&client, argv[1], &why);
    if (result == 0)
        result = run(client, argv[2], key_of(argv[3]), argc > 4 ? key_of(argv[4]) : bytes_of(NULL),
                     &why);
    client_close(client);
    if (result)
        fprintf(stderr, "snapshot_client: %s\n", why.text);
    return result ? 1 : 0;
}
