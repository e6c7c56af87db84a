// SPDX-License-Identifier: Apache-2.0
//
// Children are killed by the kernel when the test's process ends, by whatever cause, so the
// clean-up at the exit only has to remove the directory.

#include "tests/support/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/sanitizer.h"

enum { LOGS_MAX = 64, CHILDREN_MAX = 64, LOG_SHOWN = 6000 };

static char place[128];
static pid_t owner;
// The thread that watches the time shows the logs and kills the children: an entry is written
// before it counts.
static char logs[LOGS_MAX][TEST_PATH_MAX];
static atomic_int log_count;
static pid_t children[CHILDREN_MAX];
static atomic_int child_count;

static char *
read_log(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    char *text = calloc((size_t)size + 1, 1);
    if (text != NULL && size > 0) {
        text[fread(text, 1, (size_t)size, file)] = '\0';
    }
    fclose(file);
    return text;
}

static void
show_logs(void)
{
    for (int i = 0; i < log_count; i++) {
        char *text = read_log(logs[i]);
        const size_t length = text != NULL ? strlen(text) : 0;
        fprintf(stderr, "--- %s\n%s\n", logs[i],
                length > LOG_SHOWN ? text + length - LOG_SHOWN
                : text != NULL     ? text
                                   : "");
        free(text);
    }
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void
kill_children(void)
{
    for (int i = 0; i < child_count; i++) {
        if (children[i] > 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
        }
    }
    child_count = 0;
}

static void
clean_up(void)
{
    if (getpid() == owner) {
        kill_children();
        nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

void
test_check(bool ok, const char *format, ...)
{
    if (ok) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fputs("FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    show_logs();
    clean_up();
    _exit(EXIT_FAILURE);
}

// Ends a test that hangs. A thread, since a signal handler could not tell why.
static void *
watch(void *argument)
{
    const int *seconds = argument;
    test_sleep_ms(*seconds * 1000);
    test_check(false, "the test takes longer than %d seconds", *seconds);
    return NULL;
}

static void
start_watch(int seconds)
{
    static int limit;
    pthread_t thread;
    // Below what CTest allows: 300 s, and 1200 under ThreadSanitizer.
    limit = seconds * (TEST_WITH_TSAN ? 4 : test_is_sanitized() ? 2 : 1);
    if (pthread_create(&thread, NULL, watch, &limit) != 0 || pthread_detach(thread) != 0) {
        perror("pthread_create");
        exit(EXIT_FAILURE);
    }
}

void
test_place_open(int seconds)
{
    snprintf(place, sizeof place, "/tmp/tessera-test-XXXXXX");
    owner = getpid();
    if (mkdtemp(place) == NULL) {
        perror(place);
        exit(EXIT_FAILURE);
    }
    setenv("XDG_RUNTIME_DIR", place, 1);
    unsetenv("TESSERA_SCHEDULER");
    signal(SIGPIPE, SIG_IGN);
    start_watch(seconds);
    atexit(clean_up);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

const char *
test_place(const char *name)
{
    enum { KEPT = 64 };
    static char paths[KEPT][TEST_PATH_MAX];
    static int next;
    char path[TEST_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", place, name);
    // Who waits for a log asks for its name over and over, while others still use theirs.
    for (int i = 0; i < KEPT; i++) {
        if (strcmp(paths[i], path) == 0) {
            return paths[i];
        }
    }
    char *const kept = paths[next++ % KEPT];
    snprintf(kept, TEST_PATH_MAX, "%s", path);
    return kept;
}

const char *
test_program(const char *name)
{
    static char path[TEST_PATH_MAX];
    const char *bin = getenv("TESSERA_BIN");
    snprintf(path, sizeof path, "%s/%s", bin != NULL ? bin : "bin", name);
    return path;
}

uint64_t
test_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
test_sleep_ms(int milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static void
note_log(const char *path)
{
    for (int i = 0; i < log_count; i++) {
        if (strcmp(logs[i], path) == 0) {
            return;
        }
    }
    test_check(log_count < LOGS_MAX, "too many logs");
    snprintf(logs[log_count], sizeof logs[0], "%s", path);
    log_count++;
}

pid_t
test_start(const char *log, const char *const *argv)
{
    const char *path = test_place(log);
    note_log(path);
    test_check(child_count < CHILDREN_MAX, "too many processes");
    const pid_t parent = getpid();
    const pid_t child = fork();
    test_check(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || file < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0) {
            _exit(126);
        }
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    children[child_count] = child;
    child_count++;
    return child;
}

static void
forget_child(pid_t process)
{
    for (int i = 0; i < child_count; i++) {
        if (children[i] == process) {
            children[i] = children[--child_count];
            return;
        }
    }
}

// When what may take `timeout_ms` has taken too long. A sanitizer's processes are several times
// slower.
static uint64_t
end_of_patience(int timeout_ms)
{
    return test_now_ms() + (uint64_t)timeout_ms * (test_is_sanitized() ? 4 : 1);
}

int
test_wait(pid_t process, int timeout_ms)
{
    const uint64_t end = end_of_patience(timeout_ms);
    int status;
    pid_t found;
    while ((found = waitpid(process, &status, WNOHANG)) == 0 && test_now_ms() < end) {
        test_sleep_ms(5);
    }
    test_check(found == process, "process %ld does not end within %d ms", (long)process,
               timeout_ms);
    forget_child(process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool
test_is_running(pid_t process)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

void
test_signal(pid_t process, int number)
{
    test_check(process > 0 && kill(process, number) == 0, "kill %ld: %s", (long)process,
               strerror(errno));
}

int
test_log_count(const char *log, const char *text)
{
    char *content = read_log(test_place(log));
    int count = 0;
    for (const char *at = content; at != NULL && (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    free(content);
    return count;
}

void
test_log_wait(const char *log, const char *text, int count, int timeout_ms)
{
    const uint64_t end = end_of_patience(timeout_ms);
    while (test_log_count(log, text) < count) {
        test_check(test_now_ms() < end, "%s has not %d times “%s” within %d ms", log, count, text,
                   timeout_ms);
        test_sleep_ms(10);
    }
}

void
test_endpoints(const char *joined, char (*out)[TEST_PATH_MAX], int count)
{
    char line[1024];
    int found = 0;
    FILE *log = fopen(test_place("scheduler.log"), "r");
    test_check(log != NULL, "no log");
    while (fgets(line, sizeof line, log) != NULL) {
        const char *endpoint = strstr(line, "endpoint=");
        if (strstr(line, joined) != NULL && endpoint != NULL) {
            // The last ones stay, in their order.
            memmove(out[0], out[1], (size_t)(count - 1) * sizeof *out);
            snprintf(out[count - 1], TEST_PATH_MAX, "%.*s", (int)strcspn(endpoint + 9, "\n"),
                     endpoint + 9);
            found++;
        }
    }
    fclose(log);
    test_check(found >= count, "only %d times: %s", found, joined);
}

bool
test_is_sanitized(void)
{
    const char *sanitized = getenv("TESSERA_SANITIZED");
    return sanitized != NULL && *sanitized != '\0';
}

long
test_memory_kb(pid_t process, const char *line)
{
    char path[64];
    char text[256];
    long kilobytes = -1;
    snprintf(path, sizeof path, "/proc/%ld/status", (long)process);
    FILE *file = fopen(path, "re");
    test_check(file != NULL, "%s: %s", path, strerror(errno));
    while (fgets(text, sizeof text, file) != NULL) {
        if (strncmp(text, line, strlen(line)) == 0 && text[strlen(line)] == ':') {
            kilobytes = strtol(text + strlen(line) + 1, NULL, 10);
        }
    }
    fclose(file);
    return kilobytes;
}

enum { WORDS_MAX = 32 };

static int
add_words(const char **argv, int count, const char *const *words)
{
    for (; words != NULL && *words != NULL && count < WORDS_MAX - 1; words++) {
        argv[count++] = *words;
    }
    argv[count] = NULL;
    return count;
}

void
test_scheduler_start(struct test_cluster *cluster, const char *const *flags)
{
    const char *argv[WORDS_MAX];
    const uint64_t end = test_now_ms() + 8000;
    if (cluster->file[0] == '\0') {
        snprintf(cluster->file, sizeof cluster->file, "%s", test_place("cluster.json"));
    }
    const char *const words[] = {test_program("tessera-scheduler"), "--scheduler-file",
                                 cluster->file, NULL};
    add_words(argv, add_words(argv, 0, words), flags);
    const int before = test_log_count("scheduler.log", "scheduler started");
    cluster->joined_before = test_log_count("scheduler.log", "worker joined");
    cluster->scheduler = test_start("scheduler.log", argv);
    while (test_log_count("scheduler.log", "scheduler started") == before) {
        test_check(test_is_running(cluster->scheduler) && test_now_ms() < end,
                   "the scheduler does not start");
        test_sleep_ms(5);
    }
}

void
test_worker_start(struct test_cluster *cluster, int threads, const char *const *flags)
{
    const char *argv[WORDS_MAX];
    char log[32];
    char count[16];
    char name[16];
    test_check(cluster->worker_count < TEST_WORKERS_MAX, "too many workers");
    snprintf(log, sizeof log, "worker-%d.log", cluster->worker_count);
    snprintf(name, sizeof name, "w%d", cluster->worker_count);
    snprintf(count, sizeof count, "%d", threads);
    const char *const words[] = {test_program("tessera-worker"),
                                 "--no-nanny",
                                 "--scheduler-file",
                                 cluster->file,
                                 "--nthreads",
                                 count,
                                 "--name",
                                 name,
                                 NULL};
    add_words(argv, add_words(argv, 0, words), flags);
    cluster->workers[cluster->worker_count++] = test_start(log, argv);
}

void
test_workers_await(const struct test_cluster *cluster, int workers)
{
    test_log_wait("scheduler.log", "worker joined", cluster->joined_before + workers, 10000);
}

static void
end_now(pid_t *process)
{
    test_signal(*process, SIGKILL);
    test_wait(*process, 8000);
    *process = 0;
}

void
test_worker_kill(struct test_cluster *cluster, int index)
{
    end_now(&cluster->workers[index]);
}

void
test_scheduler_kill(struct test_cluster *cluster)
{
    end_now(&cluster->scheduler);
}

static void
start_all(struct test_cluster *cluster, const char *const *scheduler_flags, int workers,
          int threads, const char *const *worker_flags)
{
    *cluster = (struct test_cluster){.scheduler = 0};
    test_scheduler_start(cluster, scheduler_flags);
    for (int i = 0; i < workers; i++) {
        test_worker_start(cluster, threads, worker_flags);
    }
    test_workers_await(cluster, workers);
}

void
test_cluster_start(struct test_cluster *cluster, int workers, int threads)
{
    start_all(cluster, NULL, workers, threads, NULL);
}

void
test_cluster_start_with(struct test_cluster *cluster, const char *const *scheduler_flags,
                        int workers, const char *const *worker_flags)
{
    start_all(cluster, scheduler_flags, workers, 1, worker_flags);
}

static void
check_logs(void)
{
    for (int i = 0; i < log_count; i++) {
        char *text = read_log(logs[i]);
        const bool is_bad = text != NULL && (strstr(text, "Sanitizer") != NULL ||
                                             strstr(text, "runtime error:") != NULL);
        free(text);
        test_check(!is_bad, "a sanitizer has something to say in %s", logs[i]);
    }
}

void
test_cluster_stop(struct test_cluster *cluster)
{
    for (int i = 0; i < cluster->worker_count; i++) {
        if (cluster->workers[i] > 0) {
            test_signal(cluster->workers[i], SIGTERM);
        }
    }
    for (int i = 0; i < cluster->worker_count; i++) {
        if (cluster->workers[i] > 0) {
            const int code = test_wait(cluster->workers[i], 5000);
            test_check(code == 0, "worker %d ended with %d", i, code);
        }
    }
    if (cluster->scheduler > 0) {
        test_signal(cluster->scheduler, SIGTERM);
        const int code = test_wait(cluster->scheduler, 5000);
        test_check(code == 0, "the scheduler ended with %d", code);
    }
    check_logs();
    *cluster = (struct test_cluster){.scheduler = 0};
}

tess_session *
test_session(const struct test_cluster *cluster)
{
    tess_session *session = tess_session_open(cluster->file);
    test_check(tess_session_status(session) == TESS_OK, "%s", tess_session_error(session));
    return session;
}

uint64_t
test_hash(const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

uint64_t
test_digest(tess_array *x)
{
    const size_t bytes = tess_array_bytes(x);
    unsigned char *out = malloc(bytes + 1);
    test_check(out != NULL, "out of memory");
    const tess_status status = tess_compute(x, out, bytes);
    test_check(status == TESS_OK, "%s: %s", tess_status_name(status),
               tess_session_error(tess_array_session(x)));
    const uint64_t hash = test_hash(out, bytes);
    free(out);
    return hash;
}

bool
test_wait_progress(tess_future *future, int percent)
{
    while (tess_future_poll(future) == TESS_RUNNING) {
        const tess_progress progress = tess_future_progress(future);
        if (progress.tasks_total > 0 &&
            progress.tasks_done * 100 >= progress.tasks_total * (uint64_t)percent) {
            return true;
        }
        test_sleep_ms(2);
    }
    return false;
}
