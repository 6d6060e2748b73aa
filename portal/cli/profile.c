#include "portal/cli/profile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "portal/cli/output.h"
#include "portal/core/buf.h"
#include "portal/core/fs.h"
#include "portal/json/json.h"

#define FILE_MAX ((size_t)1 << 20)

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static const char *file_path(struct arena *a)
{
    const char *config = env("XDG_CONFIG_HOME"), *home = env("HOME");
    if (config)
        return arena_printf(a, "%s/soma/config.json", config);
    return home ? arena_printf(a, "%s/.config/soma/config.json", home) : NULL;
}

static int load_file(struct profile *p, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    struct stat st;
    int code = p->path ? fs_read(p->path, FILE_MAX, &text, e) : ERR_NOT_FOUND;
    if (code == ERR_NOT_FOUND) {
        p->file = json_object();
        return 0;
    }
    if (!code)
        code = json_read(buf_cstr(&text), text.len, 0, &p->file, e);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (!code && !json_is_object(p->file))
        code = err_set(e, ERR_INVALID, "it is no JSON object");
    if (code)
        return err_prefix(e, "the settings in %s cannot be read (remove the file and run `soma login`)", p->path);
    if (stat(p->path, &st) == 0 && st.st_mode & 077)
        output_note("soma: %s holds a token and others may read it: chmod 600 it, and make a new token if somebody did", p->path);
    return 0;
}

/* The first line of a file, without blanks around it. */
static int read_token(struct profile *p, const char *path, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    int code = fs_read(path, 65536, &text, e);
    if (code)
        return err_prefix(e, "SOMA_TOKEN_FILE");
    const char *start = buf_cstr(&text) + strspn(buf_cstr(&text), " \t\r\n");
    p->token = arena_strndup(p->arena, start, strcspn(start, " \t\r\n"));
    p->token_from = arena_printf(p->arena, "the file %s", path);
    explicit_bzero(text.data, text.len);
    return *p->token ? 0 : err_set(e, ERR_INVALID, "SOMA_TOKEN_FILE: %s is empty", path);
}

static const char *trim_url(struct arena *a, const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    return arena_strndup(a, url, n);
}

/* Whether the file's first entry is that of p->url. */
static bool is_current(const struct profile *p)
{
    const char *url = json_string_value(json_object_get(p->file, "url"));
    return url && !strcmp(url, p->url);
}

int profile_load(struct arena *a, const char *url, const char *ca, struct profile *ret, struct err *e)
{
    struct profile p = {.arena = a, .path = file_path(a)};
    int code = load_file(&p, e);
    if (code) {
        profile_done(&p);
        return code;
    }
    const char *current = json_string_value(json_object_get(p.file, "url"));
    url = url ? url : env("SOMA_URL") ? env("SOMA_URL") : current ? current : PROFILE_DEFAULT_URL;
    p.url = trim_url(a, url);
    const json_t *entry = is_current(&p) ? p.file : json_object_get(json_object_get(p.file, "others"), p.url);
    const char *own_ca = json_string_value(json_object_get(entry, "ca"));
    p.ca = ca ? ca : env("SOMA_CA") ? env("SOMA_CA") : own_ca;
    if (env("SOMA_TOKEN")) {
        p.token = env("SOMA_TOKEN");
        p.token_from = "SOMA_TOKEN";
    } else if (env("SOMA_TOKEN_FILE")) {
        code = read_token(&p, env("SOMA_TOKEN_FILE"), e);
    } else if ((p.token = json_string_value(json_object_get(entry, "token")))) {
        p.token_from = p.path;
        p.token_id = json_string_value(json_object_get(entry, "token_id"));
    }
    if (code) {
        profile_done(&p);
        return code;
    }
    *ret = p;
    return 0;
}

void profile_done(struct profile *p)
{
    json_decref(p->file);
    p->file = NULL;
}

static int save(struct profile *p, struct err *e)
{
    BUF_AUTO text = BUF_INIT;
    if (!p->path)
        return err_set(e, ERR_IO, "there is no place for the settings: neither XDG_CONFIG_HOME nor HOME is set. Use SOMA_TOKEN instead");
    char *folder = arena_strndup(p->arena, p->path, (size_t)(strrchr(p->path, '/') - p->path));
    int code = fs_mkdirs(folder, 0700, e);
    if (code)
        return code;
    json_write_pretty(p->file, &text);
    code = fs_write_atomic(p->path, buf_cstr(&text), text.len, 0600, e);
    explicit_bzero(text.data, text.len);
    return code;
}

/* Moves the first entry to the others. */
static void set_aside(struct profile *p)
{
    static const char *const keys[] = {"url", "token", "token_id", "name", "ca"};
    const char *url = json_string_value(json_object_get(p->file, "url"));
    json_t *entry = json_object();
    if (!json_is_object(json_object_get(p->file, "others")))
        json_object_set_new(p->file, "others", json_object());
    for (size_t i = 1; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(p->file, keys[i]))
            json_object_set(entry, keys[i], json_object_get(p->file, keys[i]));
    if (url && !is_current(p))
        json_object_set_new(json_object_get(p->file, "others"), url, entry);
    else
        json_decref(entry);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_del(p->file, keys[i]);
    json_object_del(json_object_get(p->file, "others"), p->url);
    if (!json_object_size(json_object_get(p->file, "others")))
        json_object_del(p->file, "others");
}

int profile_store(struct profile *p, const char *token, const char *token_id, const char *name, struct err *e)
{
    const char *ca = arena_strdup(p->arena, p->ca); /* it may stand in what is set aside */
    p->token = p->token_id = NULL;
    p->ca = ca;
    set_aside(p);
    json_t *entry = json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "url", p->url, "token", token, "token_id", token_id, "name", name, "ca", ca);
    if (!entry || json_object_update(p->file, entry)) {
        json_decref(entry);
        return err_set(e, ERR_INVALID, "the token cannot be stored: it is no text");
    }
    json_decref(entry);
    return save(p, e);
}

int profile_forget(struct profile *p, struct err *e)
{
    p->ca = arena_strdup(p->arena, p->ca);
    p->token = p->token_id = NULL;
    if (is_current(p))
        set_aside(p);
    else
        json_object_del(json_object_get(p->file, "others"), p->url);
    return save(p, e);
}
