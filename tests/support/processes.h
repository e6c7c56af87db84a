// SPDX-License-Identifier: Apache-2.0
//
// Real daemons for tests: they are started in a directory of the test's own, and whatever happens
// to the test, nothing of them is left. A test that takes too long ends by itself.
//
// All calls end the test with a message and the daemons' logs when something is not as it must be.

#ifndef TESS_TEST_PROCESSES_H
#define TESS_TEST_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tessera.h>

enum { TEST_PATH_MAX = 512, TEST_WORKERS_MAX = 8 };

// Makes the directory, points the daemons' defaults to it, and ends the test after `seconds`.
void test_place_open(int seconds);

// `name` in the directory, valid until 63 other names were asked for.
const char *test_place(const char *name);

// A program of the build: "tessera-worker" and the like.
const char *test_program(const char *name);

// Ends the test if `ok` is false.
void test_check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t test_now_ms(void);
void test_sleep_ms(int milliseconds);

// Starts `argv` with both outputs in the file `log` of the directory, whose end is the test's end
// too.
pid_t test_start(const char *log, const char *const *argv);

// Waits for the end: the exit code, or minus the number of the signal that ended it. Ends the test
// after `timeout_ms`.
int test_wait(pid_t process, int timeout_ms);
bool test_is_running(pid_t process);
void test_signal(pid_t process, int number);

// The number of times that `text` is in a log, and the wait for it to be there `count` times.
int test_log_count(const char *log, const char *text);
void test_log_wait(const char *log, const char *text, int count, int timeout_ms);

// The addresses of the data sockets of those whose joining (`joined`: "worker joined" or "client
// joined") the scheduler's log tells of last, the last `count` of them.
void test_endpoints(const char *joined, char (*out)[TEST_PATH_MAX], int count);

// Whether the build has a sanitizer: its processes begin with more memory, and keep what is freed,
// so that what they take says nothing.
bool test_is_sanitized(void);

// Kilobytes in a line of /proc/PID/status, such as "VmHWM"; −1 if the process has ended.
long test_memory_kb(pid_t process, const char *line);

// A scheduler and its workers, on the default ipc address unless the scheduler's flags say
// otherwise. Their logs are scheduler.log and worker-<index>.log.
struct test_cluster {
    char file[TEST_PATH_MAX]; // the connection file
    pid_t scheduler;
    pid_t workers[TEST_WORKERS_MAX]; // 0: none
    int worker_count;
    int joined_before; // lines of the log that tell of joining, when the scheduler was started
};

// `flags` are more words of the command line, up to NULL; or NULL.
void test_scheduler_start(struct test_cluster *cluster, const char *const *flags);
void test_worker_start(struct test_cluster *cluster, int threads, const char *const *flags);

// Waits until `workers` have joined the scheduler that was started last.
void test_workers_await(const struct test_cluster *cluster, int workers);

// Ends a daemon at once, and forgets it.
void test_worker_kill(struct test_cluster *cluster, int index);
void test_scheduler_kill(struct test_cluster *cluster);

// A scheduler and `workers` workers that have joined.
void test_cluster_start(struct test_cluster *cluster, int workers, int threads);

// The same with more words of the command lines, and one thread for each worker.
void test_cluster_start_with(struct test_cluster *cluster, const char *const *scheduler_flags,
                             int workers, const char *const *worker_flags);

// Asks all to end and checks that they do, in order and without a word of a sanitizer.
void test_cluster_stop(struct test_cluster *cluster);

// A session of the cluster that must be usable.
tess_session *test_session(const struct test_cluster *cluster);

// A hash of the bytes of a result. test_digest() computes it; the test ends if that fails.
uint64_t test_hash(const void *bytes, size_t count);
uint64_t test_digest(tess_array *x);

// Waits until `percent` of the compute's tasks are done; false if it has ended before.
bool test_wait_progress(tess_future *future, int percent);

#endif
