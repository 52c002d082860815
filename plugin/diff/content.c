/* SPDX-License-Identifier: Apache-2.0 */
#include "diff/content.h"

#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char prefix[] = "sha256:";

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return -1;
}

static bool is_lower_alphanumeric(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

/* The algorithm of a digest: what stands before its colon, when that is an algorithm's name by the
 * grammar of OCI's image specification (descriptor.md, "Digests"); else nothing. */
static struct bytes digest_algorithm(struct bytes text)
{
    bool component = false; /* inside one, so that a separator may follow */

    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];

        if (is_lower_alphanumeric(byte))
            component = true;
        else if (component && byte == ':')
            return bytes_from(text.data, i);
        else if (component && (byte == '+' || byte == '.' || byte == '_' || byte == '-'))
            component = false;
        else
            break;
    }
    return bytes_from(text.data, 0);
}

int content_parse_digest(struct bytes text, uint8_t digest[CONTENT_DIGEST_SIZE], struct reason *why)
{
    size_t start = sizeof(prefix) - 1;
    struct bytes algorithm = digest_algorithm(text);
    bool valid = text.length == start + (size_t)CONTENT_DIGEST_SIZE * 2 &&
                 bytes_start_with(text, bytes_of(prefix));

    for (size_t i = 0; valid && i < CONTENT_DIGEST_SIZE; i++) {
        int high = hex_value(text.data[start + 2 * i]);
        int low = hex_value(text.data[start + 2 * i + 1]);

        valid = high >= 0 && low >= 0;
        digest[i] = (uint8_t)(high * 16 + low);
    }
    if (algorithm.length > 0 && !bytes_equal(algorithm, bytes_of("sha256")))
        return refuse(why, CONDITION_UNIMPLEMENTED,
                      "blobs named by %s are not served, only by sha256, as containerd's own "
                      "content store names them",
                      quoted(algorithm));
    return valid
               ? 0
               : refuse(why, CONDITION_INVALID,
                        "digest %s is not \"sha256:\" with 64 lower-case hex digits", quoted(text));
}

void content_format_digest(const uint8_t digest[CONTENT_DIGEST_SIZE], char text[72])
{
    memcpy(text, prefix, sizeof(prefix));
    for (size_t i = 0; i < CONTENT_DIGEST_SIZE; i++)
        snprintf(text + sizeof(prefix) - 1 + 2 * i, 3, "%02x", digest[i]);
}

int content_open(const char *root, const uint8_t digest[CONTENT_DIGEST_SIZE], int64_t size,
                 int *blob, struct reason *why)
{
    char name[72];
    char path[4096];
    struct stat status;
    scoped_fd int fd = -1;

    content_format_digest(digest, name);
    if (snprintf(path, sizeof(path), "%s/blobs/sha256/%s", root, name + sizeof(prefix) - 1) >=
        (int)sizeof(path))
        return failure(why, ENAMETOOLONG, "open blob %s below %s", name, root);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return refuse(why, CONDITION_NOT_FOUND,
                      "blob %s is not in the content store %s; if containerd keeps its content "
                      "elsewhere, set content_root",
                      name, root);
    if (fd < 0 || fstat(fd, &status) < 0)
        return failure(why, errno, "open blob %s", path);
    if (!S_ISREG(status.st_mode))
        return refuse(why, CONDITION_INVALID, "blob %s is not a regular file", path);
    if (size > 0 && status.st_size != size)
        return refuse(why, CONDITION_INVALID,
                      "blob %s has %lld bytes in the content store, but its descriptor says %lld; "
                      "remove and pull it again",
                      name, (long long)status.st_size, (long long)size);
    *blob = take_fd(&fd);
    return 0;
}
