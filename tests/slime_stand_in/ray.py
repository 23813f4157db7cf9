"""Ray's command line as a job uses it: a head that listens, a submission that runs the command."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

words = sys.argv[1:]
if words[0] == "start":
    ports = [
        int(word.split("=")[1])
        for word in words
        if word.startswith(("--port=", "--dashboard-port="))
    ]
    if os.environ.get("TAU2_TEST_RAY") == "fails":
        sys.exit("ray: scripted failure")
    listening = [socket.create_server(("127.0.0.1", port)) for port in ports]
    signal.pause()
elif words[:2] == ["job", "submit"] and os.environ.get("TAU2_TEST_RAY") == "elsewhere":
    # A Ray of somebody else: the job is not its client's child and outlives it.
    name = words[words.index("--submission-id") + 1]
    known = os.path.join(os.environ["TAU2_TEST_JOBS"], name)
    # It can be stopped before it says its first word.
    command = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', known, *words[words.index("--") + 1 :]]
    job = subprocess.Popen(command, start_new_session=True)
    sys.exit(job.wait())
elif words[:2] == ["job", "stop"]:
    os.kill(int(pathlib.Path(os.environ["TAU2_TEST_JOBS"], words[-1]).read_text()), signal.SIGTERM)
elif words[:2] == ["job", "submit"]:
    sys.exit(subprocess.run(words[words.index("--") + 1 :]).returncode)
