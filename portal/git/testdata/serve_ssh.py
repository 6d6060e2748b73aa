"""Serves git repositories over ssh for tests: serve_ssh.py FOLDER. Takes the key FOLDER/client.pub of user git, or the password; prints its port, writes FOLDER/host.pub."""
import asyncio
import os
import shlex
import subprocess
import sys

import asyncssh

folder = sys.argv[1]


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return username == "git" and password == "pa55"


async def serve(process):
    words = shlex.split(process.command or "")
    if len(words) != 2 or words[0] != "git-upload-pack" or ".." in words[1]:
        process.exit(1)
        return
    child = await asyncio.create_subprocess_exec("git", "-c", "safe.directory=*", "upload-pack", os.path.join(folder, words[1].lstrip("/")), stdin=subprocess.PIPE,
                                                 stdout=subprocess.PIPE)
    await process.redirect(stdin=child.stdin, stdout=child.stdout)
    process.exit(await child.wait())


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_public_key(os.path.join(folder, "host.pub"))
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], authorized_client_keys=os.path.join(folder, "client.pub"), process_factory=serve,
                                          encoding=None)
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
