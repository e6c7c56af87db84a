// SPDX-License-Identifier: Apache-2.0

#include "engine/base/helper.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/memory.h"

struct tsi_helper {
    pthread_t thread;
    pthread_mutex_t lock; // of all that follows
    pthread_cond_t changed;
    void (*work)(void *argument); // NULL: nothing to do
    void *argument;
    bool closing;
};

static void *
help(void *argument)
{
    struct tsi_helper *const helper = argument;
    pthread_mutex_lock(&helper->lock);
    while (!helper->closing) {
        if (helper->work == NULL) {
            pthread_cond_wait(&helper->changed, &helper->lock);
            continue;
        }
        pthread_mutex_unlock(&helper->lock);
        helper->work(helper->argument);
        pthread_mutex_lock(&helper->lock);
        helper->work = NULL;
        pthread_cond_broadcast(&helper->changed);
    }
    pthread_mutex_unlock(&helper->lock);
    return NULL;
}

struct tsi_helper *
tsi_helper_new(void)
{
    struct tsi_helper *helper = tsi_calloc(1, sizeof *helper);
    if (helper == NULL) {
        return NULL;
    }
    pthread_mutex_init(&helper->lock, NULL);
    pthread_cond_init(&helper->changed, NULL);
    if (pthread_create(&helper->thread, NULL, help, helper) != 0) {
        pthread_cond_destroy(&helper->changed);
        pthread_mutex_destroy(&helper->lock);
        tsi_free(helper);
        return NULL;
    }
    return helper;
}

void
tsi_helper_free(struct tsi_helper *helper)
{
    if (helper == NULL) {
        return;
    }
    pthread_mutex_lock(&helper->lock);
    helper->closing = true;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
    pthread_join(helper->thread, NULL);
    pthread_cond_destroy(&helper->changed);
    pthread_mutex_destroy(&helper->lock);
    tsi_free(helper);
}

void
tsi_helper_begin(struct tsi_helper *helper, void (*work)(void *argument), void *argument)
{
    pthread_mutex_lock(&helper->lock);
    helper->work = work;
    helper->argument = argument;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&helper->lock);
}

void
tsi_helper_wait(struct tsi_helper *helper)
{
    pthread_mutex_lock(&helper->lock);
    while (helper->work != NULL) {
        pthread_cond_wait(&helper->changed, &helper->lock);
    }
    pthread_mutex_unlock(&helper->lock);
}
