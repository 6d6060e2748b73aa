// label: threads
#include "portal/loop/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "portal/core/clock.h"
#include "portal/core/thread.h"

static struct loop *running(void)
{
    struct loop *l = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(loop_new(&l, &e), 0);
    assert_int_equal(loop_start(l, &e), 0);
    return l;
}

static void raise_sem(void *arg)
{
    sem_post(arg);
}

static bool within(sem_t *s, int ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return sem_timedwait(s, &t) == 0;
}

/* --- posts --- */

struct poster { struct loop *l; int id; };
static int last_of[4], seen, disordered; /* the loop's */

static void note(void *arg)
{
    int id = (int)((intptr_t)arg >> 20), n = (int)((intptr_t)arg & 0xfffff);
    if (thread_get_role() != THREAD_LOOP || n != last_of[id] + 1)
        disordered++;
    last_of[id] = n;
    seen++;
}

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (intptr_t i = 1; i <= 5000; i++)
        loop_post(p->l, note, (void *)(((intptr_t)p->id << 20) | i));
    return NULL;
}

static void posts_run_in_order_on_the_loop(void **state)
{
    (void)state;
    struct loop *l = running();
    pthread_t t[4];
    struct poster p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = (struct poster){l, i};
        pthread_create(&t[i], NULL, post_many, &p[i]);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    loop_stop(l); /* runs what was posted before */
    assert_int_equal(seen, 20000);
    assert_int_equal(disordered, 0);
    assert_false(loop_try_post(l, note, NULL));
    loop_post(l, note, NULL);
    assert_int_equal(seen, 20000);
    loop_free(l);
}

static void a_loop_that_never_started_can_be_freed(void **state)
{
    (void)state;
    struct loop *l = NULL;
    assert_int_equal(loop_new(&l, NULL), 0);
    struct loop_timer *t = loop_timer_start(l, 1, 1, raise_sem, NULL);
    loop_timer_stop(t);
    loop_timer_start(l, 1, 0, raise_sem, NULL);
    loop_free(l);
    loop_free(NULL);
}

static void stop_inside(void *arg)
{
    loop_stop(arg);
}

static void stop_on_the_loop_only_asks(void **state)
{
    (void)state;
    struct loop *l = running();
    loop_post(l, stop_inside, l);
    loop_free(l);
}

/* --- timers --- */

struct counter { atomic_int n; sem_t s; struct loop_timer *t; int until; };

static void count(void *arg)
{
    struct counter *c = arg;
    if (atomic_fetch_add(&c->n, 1) + 1 == c->until) {
        if (c->t)
            loop_timer_stop(c->t);
        sem_post(&c->s);
    }
}

static void timers_fire(void **state)
{
    (void)state;
    struct loop *l = running();
    struct counter once = {.until = 1}, every = {.until = 5}, never = {.until = 1};
    sem_init(&once.s, 0, 0);
    sem_init(&every.s, 0, 0);
    sem_init(&never.s, 0, 0);
    int64_t start = clock_mono_ms();
    loop_timer_start(l, 30, 0, count, &once);
    struct loop_timer *later = loop_timer_start(l, 60000, 0, count, &never);
    struct loop_timer *repeated = loop_timer_start(l, 5, 5, count, &every);
    assert_true(within(&every.s, 5000));
    assert_true(within(&once.s, 5000));
    assert_true(clock_mono_ms() - start >= 29);
    loop_timer_stop(repeated);
    loop_timer_stop(later);
    int n = atomic_load(&every.n);
    clock_sleep_ms(40);
    assert_true(atomic_load(&every.n) <= n + 1); /* one may have been running at the stop */
    assert_int_equal(atomic_load(&once.n), 1);
    struct loop_timer *left = loop_timer_start(l, 60000, 60000, count, &never);
    loop_stop(l);
    loop_timer_stop(left); /* after the end, before the free: still good */
    assert_int_equal(atomic_load(&never.n), 0);
    loop_free(l);
}

struct self_stopping { struct loop *l; struct counter c; };

static void begin_self_stopping(void *arg)
{
    struct self_stopping *s = arg;
    s->c.t = loop_timer_start(s->l, 1, 1, count, &s->c);
}

static void a_timer_stops_itself_at_once(void **state)
{
    (void)state;
    struct self_stopping s = {.l = running(), .c = {.until = 3}};
    sem_init(&s.c.s, 0, 0);
    loop_post(s.l, begin_self_stopping, &s); /* so that c.t is known before it fires */
    assert_true(within(&s.c.s, 5000));
    clock_sleep_ms(30);
    assert_int_equal(atomic_load(&s.c.n), 3);
    loop_free(s.l);
}

/* --- descriptors --- */

struct reader { sem_t s; char got[64]; size_t n; };

static void read_pipe(int fd, void *arg)
{
    struct reader *r = arg;
    ssize_t n = read(fd, r->got + r->n, sizeof r->got - r->n);
    if (n > 0) {
        r->n += (size_t)n;
        sem_post(&r->s);
    }
}

static void a_descriptor_is_watched(void **state)
{
    (void)state;
    struct loop *l = running();
    struct reader r = {0};
    sem_init(&r.s, 0, 0);
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct loop_watch *w = loop_watch_read(l, p[0], read_pipe, &r);
    assert_non_null(w);
    assert_int_equal(write(p[1], "one", 3), 3);
    assert_true(within(&r.s, 5000));
    assert_int_equal(write(p[1], "two", 3), 3);
    assert_true(within(&r.s, 5000));
    loop_watch_stop(w);
    close(p[0]); /* right after the stop, before the loop heard of it */
    close(p[1]);
    loop_watch_stop(NULL);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_null(loop_watch_read(l, file, read_pipe, &r));
    close(file);
    assert_null(loop_watch_read(l, -1, read_pipe, &r));
    loop_free(l);
    assert_memory_equal(r.got, "onetwo", 6);
}

static void a_watch_may_outlive_the_loop(void **state)
{
    (void)state;
    struct loop *l = running();
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct loop_watch *w = loop_watch_read(l, p[0], read_pipe, NULL);
    loop_stop(l);
    loop_watch_stop(w);
    loop_free(l);
    close(p[0]);
    close(p[1]);
}

/* --- children --- */

struct ended { sem_t s; pid_t pid; int status; };

static void on_end(pid_t pid, int status, void *arg)
{
    struct ended *x = arg;
    x->pid = pid;
    x->status = status;
    sem_post(&x->s);
}

static pid_t child_that(int code, bool wait)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (wait)
            pause();
        _exit(code);
    }
    return pid;
}

static void children_are_reaped(void **state)
{
    (void)state;
    struct loop *l = running();
    struct ended a = {0}, b = {0};
    struct err e = ERR_INIT;
    sem_init(&a.s, 0, 0);
    sem_init(&b.s, 0, 0);
    pid_t first = child_that(7, false), second = child_that(0, true);
    clock_sleep_ms(20); /* the first one has ended before it is watched */
    assert_int_equal(loop_watch_child(l, first, on_end, &a, &e), 0);
    assert_int_equal(loop_watch_child(l, second, on_end, &b, &e), 0);
    assert_true(within(&a.s, 5000));
    assert_int_equal(a.pid, first);
    assert_true(WIFEXITED(a.status) && WEXITSTATUS(a.status) == 7);
    kill(second, SIGTERM);
    assert_true(within(&b.s, 5000));
    assert_true(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGTERM);
    assert_int_equal(waitpid(first, NULL, WNOHANG), -1);
    assert_int_equal(loop_watch_child(l, first, on_end, &a, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "cannot be watched"));
    loop_free(l);
}

static void a_child_may_outlive_the_loop(void **state)
{
    (void)state;
    struct loop *l = running();
    struct ended a = {0};
    sem_init(&a.s, 0, 0);
    pid_t pid = child_that(0, true);
    assert_int_equal(loop_watch_child(l, pid, on_end, &a, NULL), 0);
    loop_free(l);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(a.pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order_on_the_loop),
        cmocka_unit_test(a_loop_that_never_started_can_be_freed),
        cmocka_unit_test(stop_on_the_loop_only_asks),
        cmocka_unit_test(timers_fire),
        cmocka_unit_test(a_timer_stops_itself_at_once),
        cmocka_unit_test(a_descriptor_is_watched),
        cmocka_unit_test(a_watch_may_outlive_the_loop),
        cmocka_unit_test(children_are_reaped),
        cmocka_unit_test(a_child_may_outlive_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
