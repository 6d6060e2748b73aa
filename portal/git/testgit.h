/* Real repositories for tests: a temporary folder, the git command, git's own HTTP backend behind a small server. A failing command ends the program with words. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

char *testgit_folder(void);                 /* a new one, 0700; free with testgit_remove */
void testgit_remove(char *folder);          /* removes the tree and frees */
/* Runs a shell command in `folder` with a fixed author and no configuration of the machine's. */
void testgit_run(const char *folder, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The command's first line of output, in a buffer of this thread. */
const char *testgit_line(const char *folder, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void testgit_write(const char *folder, const char *path, const char *text);

struct testgit_server { pid_t pid; int port; };
/* Serves the repositories below `folder` on 127.0.0.1. mode: "plain", "auth" (user "soma", password "pa55 wörd"), "tls" (with certificate.pem, key.pem in
 * `folder`), "silent" (accepts and never answers), "endless" (sends refs without end), "ssh" (for user git with the key client.pub in
 * `folder` or the password "pa55"; writes host.pub there). */
struct testgit_server testgit_serve(const char *folder, const char *mode);
const char *testgit_python(void);          /* SOMA_TEST_PYTHON or the one on PATH */
bool testgit_has_ssh(void);                /* whether "ssh" can be served: that Python has asyncssh */
void testgit_stop(struct testgit_server *s);
