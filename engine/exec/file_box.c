// SPDX-License-Identifier: Apache-2.0
//
// Axes are gone through in the order of the file, the nearest elements first. Elements that are
// dense in the file and in memory are read at once; others through a window on the stack, as many
// as it holds, or one by one where they are far apart.

#include "engine/exec/file_box.h"

#include <stdlib.h>
#include <string.h>

#include "tessera/geometry.h"

#define WINDOW_BYTES ((int64_t)16 << 10)

// One axis that has several elements.
struct step {
    int64_t size;
    int64_t file;
    int64_t out;
};

struct reading {
    const struct tsi_mapped_file *file;
    struct tsi_error *error;
    size_t bytes; // of an element
    struct step steps[TESS_NDIM_MAX];
    int count;
};

// Repeated elements are gone through last.
static int
compare_steps(const void *a, const void *b)
{
    const struct step *x = a;
    const struct step *y = b;
    const int64_t near = x->file == 0 ? INT64_MAX : llabs(x->file);
    const int64_t far = y->file == 0 ? INT64_MAX : llabs(y->file);
    return (near > far) - (near < far);
}

static int
order_steps(const struct tsi_file_box *box, const int64_t *out, struct step *steps)
{
    int count = 0;
    for (int i = 0; i < box->ndim; i++) {
        if (box->size[i] > 1) {
            steps[count++] = (struct step){box->size[i], box->stride[i], out[i]};
        }
    }
    qsort(steps, (size_t)count, sizeof *steps, compare_steps);
    return count;
}

size_t
tsi_file_box_dense(const struct tsi_file_box *box, int64_t *stride)
{
    int64_t axes[TESS_NDIM_MAX];
    struct step steps[TESS_NDIM_MAX];
    int64_t bytes = (int64_t)box->bytes;
    for (int i = 0; i < box->ndim; i++) {
        axes[i] = i;
        stride[i] = 0;
    }
    const int count = order_steps(box, axes, steps);
    for (int i = 0; i < count && steps[i].file != 0; i++) {
        stride[steps[i].out] = bytes;
        bytes *= steps[i].size;
    }
    return (size_t)bytes;
}

bool
tsi_file_box_is_in_order(const struct tsi_file_box *box, const int64_t *stride)
{
    struct step steps[TESS_NDIM_MAX];
    const int count = order_steps(box, stride, steps);
    for (int i = 1; i < count && steps[i].file != 0; i++) {
        if (llabs(steps[i].out) < llabs(steps[i - 1].out)) {
            return false;
        }
    }
    return true;
}

// Reads along one axis, elements that are not dense.
static tess_status
read_apart(const struct reading *reading, const struct step *step, int64_t offset,
           unsigned char *out)
{
    unsigned char window[WINDOW_BYTES];
    const int64_t bytes = (int64_t)reading->bytes;
    const int64_t apart = llabs(step->file);
    const int64_t most = apart > 0 ? (WINDOW_BYTES - bytes) / apart + 1 : step->size;
    for (int64_t i = 0; i < step->size; i += most) {
        const int64_t count = step->size - i < most ? step->size - i : most;
        const int64_t last = step->file < 0 ? i + count - 1 : i;
        const tess_status status =
            tsi_files_read(reading->file, offset + last * step->file,
                           (size_t)((count - 1) * apart + bytes), window, reading->error);
        if (status != TESS_OK) {
            return status;
        }
        for (int64_t k = 0; k < count; k++) {
            memcpy(out + (i + k) * step->out, window + (i + k - last) * step->file, reading->bytes);
        }
    }
    return TESS_OK;
}

// Reads what step `from` and those before it tell of, as if the others had one element.
static tess_status
read_inner(const struct reading *reading, int from, int64_t run, int64_t offset, unsigned char *out)
{
    return from == 0 && reading->count > 0
               ? read_apart(reading, &reading->steps[0], offset, out)
               : tsi_files_read(reading->file, offset, (size_t)run, out, reading->error);
}

// Goes to the next place of the steps from `first` on; false after the last.
static bool
next_place(const struct reading *reading, int first, int64_t *index, int64_t *offset,
           unsigned char **out)
{
    for (int i = first; i < reading->count; i++) {
        const struct step *step = &reading->steps[i];
        *offset += step->file;
        *out += step->out;
        if (++index[i] < step->size) {
            return true;
        }
        *offset -= step->size * step->file;
        *out -= step->size * step->out;
        index[i] = 0;
    }
    return false;
}

tess_status
tsi_file_box_read(const struct tsi_file_box *box, const struct tsi_mapped_file *file, void *out,
                  const int64_t *out_stride, struct tsi_error *error)
{
    struct reading reading = {.file = file, .error = error, .bytes = box->bytes};
    int64_t index[TESS_NDIM_MAX] = {0};
    int64_t offset = box->offset;
    int64_t run = (int64_t)box->bytes;
    unsigned char *to = out;
    int dense = 0;
    reading.count = order_steps(box, out_stride, reading.steps);
    while (dense < reading.count && reading.steps[dense].file == run &&
           reading.steps[dense].out == run) {
        run *= reading.steps[dense++].size;
    }
    const int first = dense == 0 && reading.count > 0 ? 1 : dense;
    tess_status status = TESS_OK;
    do {
        status = read_inner(&reading, dense, run, offset, to);
    } while (status == TESS_OK && next_place(&reading, first, index, &offset, &to));
    return status;
}
