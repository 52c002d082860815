/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_snippet.h"

#include <string.h>
#include <sys/utsname.h>

unsigned containerd_snippet_format(const struct containerd_snippet *snippet)
{
    return containerd_version_since(&snippet->version, 2, 0, 0) ? 3 : 2;
}

/* Whether containerd can be given a proxy for its diff service. */
static bool has_diff(const struct containerd_snippet *snippet)
{
    return containerd_version_since(&snippet->version, 1, 7, 4);
}

/* Older ones pass over it. */
static bool has_exports(const struct containerd_snippet *snippet)
{
    const struct containerd_version *version = &snippet->version;

    if (version->major == 1 && version->minor == 6)
        return version->patch >= 32;
    return containerd_version_since(version, 1, 7, 16);
}

/* A basic string (TOML 1.0). */
static void put_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            fprintf(stream, "\\u%04X", (unsigned char)*text);
            continue;
        }
        if (*text == '"' || *text == '\\')
            fputc('\\', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

static void put_setting(FILE *stream, const char *name, const char *value)
{
    fprintf(stream, "%s = ", name);
    put_string(stream, value);
    fputc('\n', stream);
}

static void put_proxy(const struct containerd_snippet *snippet, FILE *stream, const char *name,
                      const char *type)
{
    fprintf(stream, "[proxy_plugins.%s]\n", name);
    put_setting(stream, "  type", type);
    put_setting(stream, "  address", snippet->address);
}

static void put_snapshotter(const struct containerd_snippet *snippet, FILE *stream)
{
    fputs("\n# The snapshotter \"cowsnap\".\n", stream);
    put_proxy(snippet, stream, "cowsnap", "snapshot");
    if (!has_exports(snippet))
        return;
    fputs("  # Where the kubelet measures the image file system; without it, it sets no limit.\n"
          "  [proxy_plugins.cowsnap.exports]\n",
          stream);
    put_setting(stream, "    root", snippet->root);
}

static void put_differ(const struct containerd_snippet *snippet, FILE *stream)
{
    if (!has_diff(snippet)) {
        fputs("\n# This containerd unpacks layers itself: proxies for that work from 1.7.4 on.\n",
              stream);
        return;
    }
    fputs("\n# The differ \"cowsnap-diff\", which unpacks layers.\n", stream);
    put_proxy(snippet, stream, "cowsnap-diff", "diff");
    fputs("\n# It is asked first; what it does not do, containerd's own \"walking\" does.\n",
          stream);
    fprintf(stream, containerd_snippet_format(snippet) == 3
                        ? "[plugins.'io.containerd.service.v1.diff-service']\n"
                        : "[plugins.\"io.containerd.service.v1.diff-service\"]\n");
    fputs("  default = [\"cowsnap-diff\", \"walking\"]\n", stream);
}

static void put_unpack(const struct containerd_snippet *snippet, FILE *stream,
                       const char *snapshotter, const char *differ)
{
    fputs("[[plugins.'io.containerd.transfer.v1.local'.unpack_config]]\n", stream);
    put_setting(stream, "  platform", snippet->platform);
    put_setting(stream, "  snapshotter", snapshotter);
    put_setting(stream, "  differ", differ);
}

static void put_transfer(const struct containerd_snippet *snippet, FILE *stream)
{
    if (containerd_snippet_format(snippet) < 3)
        return;
    fputs(
        "\n# The transfer service, which pulls images for ctr, and for Kubernetes from 2.1 on. A\n"
        "# list replaces the one that is built in, so overlayfs is named again.\n",
        stream);
    put_unpack(snippet, stream, "cowsnap", "cowsnap-diff");
    put_unpack(snippet, stream, "overlayfs", "walking");
}

static void put_kubernetes(const struct containerd_snippet *snippet, FILE *stream)
{
    fputs("\n# Kubernetes: images and containers use cowsnap. Leave it out to keep overlayfs "
          "there.\n",
          stream);
    fputs(containerd_snippet_format(snippet) == 3
              ? "[plugins.'io.containerd.cri.v1.images']\n"
              : "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n",
          stream);
    fputs("  snapshotter = \"cowsnap\"\n", stream);
}

static int check_path(const char *what, const char *path, struct reason *why)
{
    struct bytes rest = bytes_of(path);

    if (*path != '/')
        return refuse(why, CONDITION_INVALID, "--%s must be an absolute path, not %s", what,
                      quoted(rest));
    while (rest.length > 0) {
        size_t sequence = bytes_utf8_sequence(rest);

        if (sequence == 0)
            return refuse(why, CONDITION_INVALID, "--%s is no UTF-8, as TOML must be: %s", what,
                          quoted(bytes_of(path)));
        rest = bytes_from(rest.data + sequence, rest.length - sequence);
    }
    return 0;
}

int containerd_snippet_write(const struct containerd_snippet *snippet, FILE *stream,
                             struct reason *why)
{
    char version[VERSION_ROOM];
    int result = check_path("address", snippet->address, why);

    if (result == 0)
        result = check_path("root", snippet->root, why);
    if (result)
        return result;
    fprintf(stream,
            "# For containerd %s: merge it into /etc/containerd/config.toml (a table that is\n"
            "# there already takes the lines of its namesake here), then restart containerd.\n",
            containerd_version_text(&snippet->version, version));
    if (!snippet->asked)
        fputs("# No cowsnapd could be asked: see that address and root fit.\n", stream);
    fprintf(stream, "version = %u\n", containerd_snippet_format(snippet));
    put_snapshotter(snippet, stream);
    put_differ(snippet, stream);
    put_transfer(snippet, stream);
    put_kubernetes(snippet, stream);
    return 0;
}

/* As containerd's own platforms package names what uname(2) calls them. */
int containerd_platform(const char **platform, struct reason *why)
{
    static const struct {
        const char *machine, *platform;
    } known[] = {
        {"x86_64", "linux/amd64"},    {"aarch64", "linux/arm64"}, {"armv7l", "linux/arm/v7"},
        {"armv6l", "linux/arm/v6"},   {"i686", "linux/386"},      {"ppc64le", "linux/ppc64le"},
        {"riscv64", "linux/riscv64"}, {"s390x", "linux/s390x"},   {"loongarch64", "linux/loong64"},
    };
    struct utsname names;

    if (uname(&names) == 0)
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (strcmp(names.machine, known[i].machine) == 0) {
                *platform = known[i].platform;
                return 0;
            }
    return refuse(why, CONDITION_UNIMPLEMENTED,
                  "the processor of this machine has no name in containerd's platforms");
}
