#include "portal/git/testgit.h"
#include "portal/core/buf.h"
#include "portal/core/fs.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "testgit: %s\n", what);
    exit(1);
}

char *testgit_folder(void)
{
    char name[] = "/tmp/soma-git-XXXXXX";
    if (!mkdtemp(name))
        die("cannot make a temporary folder");
    return strdup(name);
}

void testgit_remove(char *folder)
{
    struct err e = ERR_INIT;
    if (folder && fs_remove_tree(folder, &e) != 0)
        die(e.msg);
    free(folder);
}

static void build(struct buf *b, const char *folder, const char *fmt, va_list ap)
{
    buf_printf(b, "cd '%s' && export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Test GIT_AUTHOR_EMAIL=test@example.com "
                  "GIT_COMMITTER_NAME=Test GIT_COMMITTER_EMAIL=test@example.com; set -e; ", folder);
    buf_vprintf(b, fmt, ap);
}

void testgit_run(const char *folder, const char *fmt, ...)
{
    BUF_AUTO b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    build(&b, folder, fmt, ap);
    va_end(ap);
    if (system(b.data) != 0)
        die(b.data);
}

const char *testgit_line(const char *folder, const char *fmt, ...)
{
    static _Thread_local char line[512];
    BUF_AUTO b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    build(&b, folder, fmt, ap);
    va_end(ap);
    FILE *f = popen(b.data, "r");
    if (!f || !fgets(line, sizeof(line), f))
        die(b.data);
    pclose(f);
    line[strcspn(line, "\n")] = 0;
    return line;
}

void testgit_write(const char *folder, const char *path, const char *text)
{
    struct err e = ERR_INIT;
    BUF_AUTO full = BUF_INIT;
    buf_printf(&full, "%s/%s", folder, path);
    char *slash = strrchr(full.data, '/');
    *slash = 0;
    if (fs_mkdirs(full.data, 0755, &e) != 0)
        die(e.msg);
    *slash = '/';
    if (fs_write_atomic(full.data, text, strlen(text), 0644, &e) != 0)
        die(e.msg);
}

const char *testgit_python(void)
{
    const char *python = getenv("SOMA_TEST_PYTHON");
    return python ? python : "python3";
}

bool testgit_has_ssh(void)
{
    BUF_AUTO b = BUF_INIT;
    buf_printf(&b, "'%s' -c 'import asyncssh' 2>/dev/null", testgit_python());
    return system(b.data) == 0;
}

struct testgit_server testgit_serve(const char *folder, const char *mode)
{
    struct testgit_server s = {0};
    int out[2];
    char script[512];
    bool ssh = strcmp(mode, "ssh") == 0;
    snprintf(script, sizeof(script), "%.*s/testdata/%s.py", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, ssh ? "serve_ssh" : "serve");
    if (pipe(out) != 0 || (s.pid = fork()) < 0)
        die("cannot start a server");
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails does not leave it behind */
        dup2(out[1], 1);
        closefrom(3);
        const char *python = ssh ? testgit_python() : "/usr/bin/python3";
        execlp(python, python, script, folder, ssh ? NULL : mode, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char text[16] = "";
    for (size_t n = 0; n + 1 < sizeof(text) && read(out[0], text + n, 1) == 1 && text[n] != '\n'; n++)
        ;
    close(out[0]);
    s.port = atoi(text);
    if (s.port <= 0)
        die("the server did not start");
    return s;
}

void testgit_stop(struct testgit_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}
