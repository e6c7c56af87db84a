// SPDX-License-Identifier: Apache-2.0
//
// Expression nodes: what is behind a tess_array.
//
// A node is made by one call, never changes its meaning, and belongs to its session's arena. Shape,
// dtype and chunks are known when it is made. Nodes with equal contents are one node, so that the
// planner sees a shared subexpression as such by comparing pointers.
//
// Constructors put casts and views in as nodes of their own, so that the planner has no rules of
// NumPy to know:
//
// - The operands of a MAP all have the shape and the cut of the result, and the type in which the
//   operation computes (the condition of `where` is bool).
// - The operands of a MATMUL are [batch …, i, k] and [batch …, k, j] of the dtype of the result,
//   which is [batch …, i, j]. Their batch axes are those of the result in size and cut; one of one
//   element is one chunk. The result is cut on i as the first operand is, on j as the second; the
//   two may be cut differently on k.
// - The operand of a VIEW is never a VIEW or a CONST, and a SOURCE only where a random one is
//   repeated or kept, since making its elements again and again, or in another order, costs more
//   than reading them. All other views of these are nodes of their kind. A VIEW never leaves all
//   as it was.
// - A CAST changes the dtype, and its operand is no CONST.
// - No operand is weak.

#ifndef TSI_GRAPH_NODE_H
#define TSI_GRAPH_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/dtype.h"
#include "engine/base/grid.h"
#include "engine/base/op.h"
#include "engine/base/source.h"
#include "engine/io/npy.h"
#include "tessera/array.h"

enum tsi_node_kind {
    TSI_NODE_CONST,    // the same element everywhere
    TSI_NODE_SOURCE,   // an element made from its index
    TSI_NODE_MEMORY,   // the caller's memory
    TSI_NODE_FILE,     // an NPY file
    TSI_NODE_ATTACHED, // what a detached compute of some session keeps; nothing else makes it
    TSI_NODE_MAP,      // an element-wise operation
    TSI_NODE_CAST,
    TSI_NODE_VIEW, // other shape or cut of the same elements
    TSI_NODE_REDUCE,
    TSI_NODE_MATMUL,
};

// Element i of the node has the index first + Σ step[axis]·i[axis] for the source (source.h).
struct tsi_node_source {
    enum tsi_source source;
    int64_t first;
    int64_t step[TESS_NDIM_MAX];
    struct tsi_source_params params;
};

struct tsi_node_memory {
    const unsigned char *data;
    int64_t stride[TESS_NDIM_MAX]; // in bytes
};

// Axis a of the operand is read at offset[a] + stride[a]·i[axis[a]], or at offset[a] if axis[a] is
// −1. An axis of the result that none names repeats the operand. At most one operand axis names an
// axis. Where i[axis[a]] takes no other value than 0, or axis[a] is −1, stride[a] is 1; where it
// takes no value at all, offset[a] is 0 too.
struct tsi_node_view {
    int axis[TESS_NDIM_MAX];
    int64_t offset[TESS_NDIM_MAX];
    int64_t stride[TESS_NDIM_MAX];
};

struct tsi_node_reduce {
    enum tsi_reduction reduction;
    uint32_t axes; // of the operand, one bit each
    bool keepdims;
    double ddof;
};

struct tess_array {
    struct tess_session *session; // NULL for the two arrays that stand for NULL and for no memory
    tess_status status;
    const char *error; // "" unless failed
    const char *site;  // "file:line", or ""
    const char *name;  // what the user called: "mean", "add", "random_normal"
    uint64_t id;       // 0, 1, … in the order of making
    enum tsi_node_kind kind;
    tess_dtype dtype;
    bool weak; // a scalar that takes the type of what it meets
    struct tsi_grid grid;
    int operand_count;
    struct tess_array *operand[3];
    union {
        struct tsi_scalar constant; // CONST
        struct tsi_node_source source;
        struct tsi_node_memory memory;
        struct {
            const char *path;
            struct tsi_npy_header header;
        } file;
        uint64_t token; // ATTACHED: the job's
        enum tsi_op op; // MAP
        struct tsi_node_view view;
        struct tsi_node_reduce reduce;
    };
    // Set while its chunks are kept by a backend: the job that made them and its task of chunk 0.
    bool kept;
    uint64_t kept_job;
    uint32_t kept_base;
};

// The failed operand among `operands` if there is one, so that constructors return it: the leftmost
// failed one; a failed array that names the operand if that is NULL, or the array for NULL where no
// operand has a session; a failed array if they are of different sessions or if the session is
// closed. NULL if all is well.
struct tess_array *tsi_node_bad(struct tess_array *const *operands, int count, const char *name);

// The failed array for a session in which nothing can be made: it is NULL, failed or closed. NULL
// if all is well.
struct tess_array *tsi_node_bad_session(struct tess_session *session, const char *name);

// A failed array if the bytes or the chunks of such an array do not fit int64, NULL if they do.
// tsi_node_make() asks too; constructors that put nodes in ask before, so that the message names
// them.
struct tess_array *tsi_node_too_large(struct tess_session *session, const struct tsi_grid *grid,
                                      tess_dtype dtype, const char *name);

// A failed array of `session` with the message "name: …" and the place of the call. Calls the
// session's error callback. `session` NULL gives the array that stands for NULL.
struct tess_array *tsi_node_fail(struct tess_session *session, tess_status status, const char *name,
                                 const char *format, ...) __attribute__((format(printf, 4, 5)));

// Registers `*draft` (kind, dtype, grid, operands and parameters filled; grid boundaries in any
// memory) as a node of `session`: an equal one that is there already, or a new one. A failed array
// when memory is out.
struct tess_array *tsi_node_make(struct tess_session *session, const struct tess_array *draft);

// Elements, overflow-checked when the node was made.
int64_t tsi_node_count(const struct tess_array *x);

#endif
