/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/advice.h"
#include "cli/command.h"
#include "cli/containerd_view.h"
#include "cli/daemon.h"
#include "cli/json.h"
#include "cli/snapshot_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FLAG_REPAIR, FLAG_CONTENT, FLAG_CONTAINERD };

/* What is printed is gathered first: a check that fails before it has found anything tells nothing
 * but why. One that fails later tells what it has found, and may have repaired, until then. */
struct report {
    bool as_json;
    struct json json;
    FILE *stream;
    unsigned long long differences, repaired;
    struct check_tally tally; /* of a check of files */
};

static void add_json(struct json *json, const struct check_finding *finding, const char *advice)
{
    json_object(json, NULL);
    json_text(json, "kind", advice_kind_name(finding->kind));
    json_number(json, "id", finding->id);
    if (finding->key.length)
        json_bytes(json, "key", finding->key);
    else
        json_null(json, "key");
    json_text(json, "problem", finding->problem);
    json_text(json, "outcome", advice_outcome_name(finding->outcome));
    json_text(json, "advice", advice);
    json_end(json);
}

static int add_finding(void *context, const struct check_finding *finding, struct reason *why)
{
    struct report *report = context;
    scoped_free char *thing = advice_thing(finding);
    scoped_free char *advice = advice_text(finding);

    if (!thing || !advice)
        return failure(why, ENOMEM, "print what is wrong");
    report->differences++;
    report->repaired += finding->outcome == CHECK_REPAIRED;
    if (report->as_json)
        add_json(&report->json, finding, advice);
    else
        fprintf(report->stream, "%s: %s; %s\n", thing, finding->problem, advice);
    return 0;
}

static void begin_json(struct report *report, bool repair)
{
    report->json = JSON_TO(report->stream);
    json_object(&report->json, NULL);
    json_switch(&report->json, "repair", repair);
    json_array(&report->json, "findings");
}

static void end_json(struct report *report, bool content, bool complete)
{
    json_end(&report->json);
    json_switch(&report->json, "complete", complete);
    json_number(&report->json, "differences", report->differences);
    json_number(&report->json, "repaired", report->repaired);
    if (content && complete) {
        json_number(&report->json, "compared", report->tally.compared);
        json_number(&report->json, "unrecorded", report->tally.unrecorded);
    } else if (content) {
        json_null(&report->json, "compared");
        json_null(&report->json, "unrecorded");
    }
    json_end(&report->json);
}

/* Of those named by KEYs, as people call them, or of all. */
static int ask_for_content(const struct daemon *daemon, const struct arguments *arguments,
                           struct report *report, struct reason *why)
{
    scoped_free struct bytes *keys = calloc(arguments->word_count + 1, sizeof(*keys));
    scoped(snapshot_list_clear) struct snapshot_list list = {0};
    int result = 0;

    if (!keys)
        return failure(why, ENOMEM, "ask for a check of files");
    if (arguments->word_count > 0)
        result = snapshot_list_read(&list, daemon, why);
    for (size_t i = 0; !result && i < arguments->word_count; i++) {
        const struct snapshot_info *found;

        result = snapshot_list_find(&list, bytes_of(arguments->words[i]), &found, why);
        if (!result)
            keys[i] = found->key;
    }
    if (result)
        return result;
    return control_client_check_content(daemon->client, keys, arguments->word_count, add_finding,
                                        report, &report->tally, why);
}

static void end_text(struct report *report, const struct arguments *arguments)
{
    if (report->differences == 0 && arguments->word_count == 0)
        fputs(arguments->values[FLAG_CONTAINERD] ? "The store, the pool and containerd agree.\n"
                                                 : "The store and the pool agree.\n",
              report->stream);
    if (arguments->values[FLAG_CONTENT])
        fprintf(
            report->stream,
            "Files compared with what layers had: %llu snapshot%s; %llu without a record of it.\n",
            (unsigned long long)report->tally.compared, report->tally.compared == 1 ? "" : "s",
            (unsigned long long)report->tally.unrecorded);
}

static int ask_daemon(const struct daemon *daemon, const struct arguments *arguments,
                      struct report *report, bool repair, struct reason *why)
{
    int result = arguments->word_count
                     ? 0
                     : control_client_check(daemon->client, repair, add_finding, report, why);

    if (!result && arguments->values[FLAG_CONTENT])
        result = ask_for_content(daemon, arguments, report, why);
    if (result == CONDITION_DEADLINE)
        return refuse(why, result,
                      "the check was not over within %d seconds: look into cowsnapd's log for the "
                      "reason, or check again when its disk is less busy",
                      CONTROL_CHECK_TIMEOUT);
    return daemon_explain(daemon, result, why);
}

/* containerd is tried first: what hinders it is told before anything is repaired. */
static int ask(const struct arguments *arguments, struct report *report, bool repair,
               struct reason *why)
{
    const char *containerd = arguments->values[FLAG_CONTAINERD];
    scoped(daemon_disconnect) struct daemon daemon;
    int result = daemon_connect(&daemon, arguments, why);

    if (!result && containerd)
        result = containerd_view_try(containerd, why);
    if (!result)
        result = ask_daemon(&daemon, arguments, report, repair, why);
    if (!result && containerd)
        result = containerd_view_check(&daemon, containerd, add_finding, report, why);
    return result;
}

/* The sentence that makes the exit status tell of differences. */
static int conclude(const struct report *report, bool more, struct reason *why)
{
    if (report->differences == 0)
        return 0;
    return refuse(why, CONDITION_PRECONDITION, "%llu difference%s%s, %llu of them repaired",
                  report->differences, report->differences == 1 ? "" : "s",
                  more ? "" : " between the store and the pool", report->repaired);
}

/* Of a check that failed, RESULT, what it did until then. */
static int conclude_early(const struct report *report, int result, struct reason *why)
{
    if (report->differences == 0)
        return result;
    return amend(why, result, "the check ended early, with %llu difference%s and %llu repaired",
                 report->differences, report->differences == 1 ? "" : "s", report->repaired);
}

static int run_check(const struct arguments *arguments, struct reason *why)
{
    bool repair = arguments->values[FLAG_REPAIR] != NULL;
    bool content = arguments->values[FLAG_CONTENT] != NULL;
    bool containerd = arguments->values[FLAG_CONTAINERD] != NULL;
    struct report report = {.as_json = arguments->json};
    scoped_free char *text = NULL;
    size_t length;
    int result;

    if (arguments->word_count && (!content || repair || containerd))
        return refuse(why, CONDITION_INVALID,
                      "check takes keys with --content alone; without keys it looks at everything");
    report.stream = open_memstream(&text, &length);
    if (!report.stream)
        return failure(why, errno, "print what is wrong");
    if (report.as_json)
        begin_json(&report, repair);
    result = ask(arguments, &report, repair, why);
    if (report.as_json)
        end_json(&report, content, result == 0);
    else if (result == 0)
        end_text(&report, arguments);
    if (fclose(report.stream))
        return result ? result : failure(why, errno, "print what is wrong");
    if (result == 0 || report.differences > 0)
        fwrite(text, 1, length, stdout);
    return result ? conclude_early(&report, result, why)
                  : conclude(&report, content || containerd, why);
}

static const struct command_flag flags[] = {
    [FLAG_REPAIR] = {"repair", false},
    [FLAG_CONTENT] = {"content", false},
    [FLAG_CONTAINERD] = {"containerd", true},
    {NULL, false},
};

const struct command command_check = {
    .name = "check",
    .words = "[KEY...]",
    .summary = "Compare the store with the pool; with --repair, mend what is safe to mend",
    .details =
        "      --repair          mend what is safe: end volumes that no snapshot has; remove\n"
        "                        snapshots that lost their volume and records that cannot be\n"
        "                        read, if no other was made of them and nothing is at work on\n"
        "                        them; mend the store's indexes\n"
        "      --content         compare the files of committed snapshots, or of those called KEY\n"
        "                        (as for usage), with what their layers had, too; reads them all.\n"
        "                        It is known for layers unpacked while apply.record_content was\n"
        "                        true\n"
        "      --containerd SOCKET\n"
        "                        compare with what containerd on that socket has of the\n"
        "                        snapshotter \"cowsnap\", too\n"
        "\n"
        "Each difference is one line: the thing, what is wrong with it, and what to do. Children\n"
        "come before their parents, so that commands in the lines can be run as they come. The\n"
        "exit status is 0 when there is none and 1 when there is any, repaired or not, or when "
        "the\n"
        "check failed; what it had found or repaired by then is told all the same.\n",
    .flags = flags,
    .words_most = 1000,
    .run = run_check,
};
