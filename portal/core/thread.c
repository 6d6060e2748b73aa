#include "portal/core/thread.h"

#include <pthread.h>
#include <stdlib.h>

#include "portal/core/log.h"

static _Thread_local enum thread_role role_of_this_thread;

void thread_set_role(enum thread_role role, const char *name)
{
    role_of_this_thread = role;
    if (name && role != THREAD_MAIN)
        pthread_setname_np(pthread_self(), name);
}

enum thread_role thread_get_role(void)
{
    return role_of_this_thread;
}

void thread_assert(int allowed, const char *where)
{
    /* A thread without a role belongs to a test or to a library: only known wrong ones are stopped. */
    if (!role_of_this_thread || (role_of_this_thread & allowed))
        return;
    log_error("called on the wrong kind of thread: a defect of ours, the process ends", LOG_S("function", where), LOG_I("role", role_of_this_thread));
    abort();
}
