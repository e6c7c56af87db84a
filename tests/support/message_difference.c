// SPDX-License-Identifier: Apache-2.0
//
// Two messages field by field, by what they mean: where their arrays and texts are does not matter.

#include <string.h>

#include "tests/support/message_case.h"

// Runs of bytes, NULL or not.
static bool
same_bytes(const void *a, const void *b, uint64_t count)
{
    return (a == NULL) == (b == NULL) &&
           (a == NULL || count == 0 || memcmp(a, b, (size_t)count) == 0);
}

static bool
same_locations(const struct tsi_location *a, const struct tsi_location *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i].key != b[i].key || a[i].peer != b[i].peer || a[i].bytes != b[i].bytes ||
            !same_bytes(a[i].data, b[i].data, a[i].bytes)) {
            return false;
        }
    }
    return true;
}

static const char *
hello_difference(const struct tsi_hello *a, const struct tsi_hello *b)
{
    if (a->role != b->role || a->threads != b->threads || a->memory_bytes != b->memory_bytes ||
        a->spill_bytes != b->spill_bytes || a->pid != b->pid || a->is_watched != b->is_watched) {
        return "a number of hello";
    }
    return strcmp(a->name, b->name) != 0 || strcmp(a->library, b->library) != 0 ||
                   strcmp(a->endpoint, b->endpoint) != 0 || strcmp(a->host, b->host) != 0
               ? "a text of hello"
               : NULL;
}

static const char *
assign_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    if (a->assign.count != b->assign.count ||
        a->assign.location_count != b->assign.location_count) {
        return "a count of assign";
    }
    for (size_t i = 0; i < a->assign.count; i++) {
        const struct tsi_assignment *x = &a->assign.items[i];
        const struct tsi_assignment *y = &b->assign.items[i];
        if (x->job != y->job || x->task != y->task || x->sequence != y->sequence ||
            x->rank != y->rank || x->location_count != y->location_count) {
            return "an assignment";
        }
    }
    return same_locations(a->assign.locations, b->assign.locations, a->assign.location_count)
               ? NULL
               : "a location";
}

static const char *
done_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    if (a->done.count != b->done.count) {
        return "the count of done";
    }
    for (size_t i = 0; i < a->done.count; i++) {
        const struct tsi_completion *x = &a->done.items[i];
        const struct tsi_completion *y = &b->done.items[i];
        if (x->job != y->job || x->task != y->task || x->sequence != y->sequence ||
            x->duration_us != y->duration_us || x->bytes != y->bytes ||
            x->peak_bytes != y->peak_bytes || !same_bytes(x->data, y->data, x->bytes)) {
            return "a completion";
        }
    }
    return NULL;
}

static bool
same_costs(const struct tsi_job_costs *a, const struct tsi_job_costs *b)
{
    bool same =
        a->tasks_run == b->tasks_run && a->peak_bytes_predicted == b->peak_bytes_predicted &&
        a->peak_bytes_measured == b->peak_bytes_measured && a->worker_count == b->worker_count;
    for (size_t i = 0; same && i < a->worker_count; i++) {
        const struct tsi_worker_peak *x = &a->workers[i];
        const struct tsi_worker_peak *y = &b->workers[i];
        same = x->peer == y->peer && strcmp(x->name, y->name) == 0 &&
               x->predicted == y->predicted && x->measured == y->measured;
    }
    return same;
}

static const char *
ready_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    if (a->ready.job != b->ready.job || a->ready.count != b->ready.count ||
        a->ready.is_last != b->ready.is_last || !same_costs(&a->ready.costs, &b->ready.costs)) {
        return "a number of ready";
    }
    for (size_t i = 0; i < a->ready.count; i++) {
        const struct tsi_ready_item *x = &a->ready.items[i];
        const struct tsi_ready_item *y = &b->ready.items[i];
        if (x->task != y->task || x->peer != y->peer || x->bytes != y->bytes ||
            !same_bytes(x->data, y->data, x->bytes)) {
            return "a ready item";
        }
    }
    return NULL;
}

static bool
same_ended(const struct tsi_attempt *a, const struct tsi_attempt *b)
{
    return a->job == b->job && a->task == b->task && a->sequence == b->sequence &&
           a->end == b->end && a->status == b->status && a->input == b->input &&
           a->peer == b->peer && strcmp(a->text, b->text) == 0;
}

static bool
same_job_ended(const struct tsi_message *a, const struct tsi_message *b)
{
    return a->job_ended.job == b->job_ended.job && a->job_ended.token == b->job_ended.token &&
           a->job_ended.status == b->job_ended.status &&
           strcmp(a->job_ended.text, b->job_ended.text) == 0 &&
           same_costs(&a->job_ended.costs, &b->job_ended.costs);
}

static const char *
holds_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    bool same = a->holds.count == b->holds.count && a->holds.range_count == b->holds.range_count &&
                same_bytes(a->holds.ranges, b->holds.ranges, a->holds.range_count * 8);
    for (size_t i = 0; same && i < a->holds.count; i++) {
        const struct tsi_holding *x = &a->holds.items[i];
        const struct tsi_holding *y = &b->holds.items[i];
        same = x->job == y->job && x->token == y->token && x->range_count == y->range_count;
    }
    return same ? NULL : "a holding";
}

static const char *
client_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    bool same = true;
    switch (a->type) {
    case TSI_MESSAGE_SUBMIT:
        same = a->submit.token == b->submit.token && a->submit.detached == b->submit.detached &&
               a->submit.count == b->submit.count &&
               same_bytes(a->submit.bytes, b->submit.bytes, a->submit.count);
        break;
    case TSI_MESSAGE_TAKEN:
        same = a->taken.job == b->taken.job && a->taken.count == b->taken.count &&
               same_bytes(a->taken.tasks, b->taken.tasks, a->taken.count * 4);
        break;
    case TSI_MESSAGE_ACCEPTED:
        same = a->accepted.token == b->accepted.token && a->accepted.job == b->accepted.job;
        break;
    case TSI_MESSAGE_READY:
        return ready_difference(a, b);
    case TSI_MESSAGE_PROGRESS:
        same = a->progress.job == b->progress.job && a->progress.done == b->progress.done &&
               a->progress.total == b->progress.total && a->progress.workers == b->progress.workers;
        break;
    case TSI_MESSAGE_JOB_ENDED:
        same = same_job_ended(a, b);
        break;
    case TSI_MESSAGE_HOLDS:
        return holds_difference(a, b);
    case TSI_MESSAGE_CLAIM:
    case TSI_MESSAGE_ATTACH:
        same = a->claim.token == b->claim.token;
        break;
    case TSI_MESSAGE_GET:
        same = a->get.key == b->get.key && a->get.offset == b->get.offset &&
               a->get.length == b->get.length;
        break;
    case TSI_MESSAGE_SEGMENT:
        same = a->segment.key == b->segment.key && a->segment.offset == b->segment.offset &&
               a->segment.total == b->segment.total && a->segment.count == b->segment.count &&
               a->segment.checksum == b->segment.checksum;
        break;
    case TSI_MESSAGE_MISSING:
        same = a->missing.key == b->missing.key && strcmp(a->missing.text, b->missing.text) == 0;
        break;
    default:
        break;
    }
    return same ? NULL : "a field";
}

static bool
same_welcome(const struct tsi_welcome *a, const struct tsi_welcome *b)
{
    return a->peer == b->peer && a->heartbeat_ms == b->heartbeat_ms &&
           a->keeps_journal == b->keeps_journal;
}

const char *
test_message_difference(const struct tsi_message *a, const struct tsi_message *b)
{
    bool same = true;
    if (a->type != b->type || a->epoch != b->epoch || a->peer != b->peer) {
        return "the header";
    }
    switch (a->type) {
    case TSI_MESSAGE_HELLO:
        return hello_difference(&a->hello, &b->hello);
    case TSI_MESSAGE_WELCOME:
        same = same_welcome(&a->welcome, &b->welcome);
        break;
    case TSI_MESSAGE_REFUSE:
        same = a->refuse.status == b->refuse.status && strcmp(a->refuse.text, b->refuse.text) == 0;
        break;
    case TSI_MESSAGE_OBITUARY:
        same = strcmp(a->obituary.host, b->obituary.host) == 0 &&
               a->obituary.pid == b->obituary.pid &&
               strcmp(a->obituary.text, b->obituary.text) == 0;
        break;
    case TSI_MESSAGE_PEER:
        same = a->news.peer == b->news.peer && a->news.is_there == b->news.is_there &&
               a->news.threads == b->news.threads && a->news.memory_bytes == b->news.memory_bytes &&
               strcmp(a->news.endpoint, b->news.endpoint) == 0 &&
               strcmp(a->news.host, b->news.host) == 0;
        break;
    case TSI_MESSAGE_PROGRAM:
        same = a->program.job == b->program.job && a->program.token == b->program.token &&
               a->program.count == b->program.count &&
               same_bytes(a->program.bytes, b->program.bytes, a->program.count);
        break;
    case TSI_MESSAGE_ASSIGN:
        return assign_difference(a, b);
    case TSI_MESSAGE_RETRACT:
        same = a->retract.count == b->retract.count &&
               same_bytes(a->retract.sequences, b->retract.sequences, a->retract.count * 4);
        break;
    case TSI_MESSAGE_FREE:
    case TSI_MESSAGE_COPIED:
    case TSI_MESSAGE_DROPPED:
        same = a->keys.count == b->keys.count &&
               same_bytes(a->keys.keys, b->keys.keys, a->keys.count * 8);
        break;
    case TSI_MESSAGE_COPY:
        same = a->copy.count == b->copy.count &&
               same_locations(a->copy.locations, b->copy.locations, a->copy.count);
        break;
    case TSI_MESSAGE_DROP_JOB:
    case TSI_MESSAGE_CANCEL:
    case TSI_MESSAGE_RELEASE:
        same = a->job.job == b->job.job;
        break;
    case TSI_MESSAGE_DONE:
        return done_difference(a, b);
    case TSI_MESSAGE_ENDED:
        same = same_ended(&a->ended, &b->ended);
        break;
    default:
        return client_difference(a, b);
    }
    return same ? NULL : "a field";
}
