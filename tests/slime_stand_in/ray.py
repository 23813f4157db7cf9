"""Ray's command line as a job uses it: a head that listens, a submission that runs the command."""

import os
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
elif words[:2] == ["job", "submit"]:
    sys.exit(subprocess.run(words[words.index("--") + 1 :]).returncode)
