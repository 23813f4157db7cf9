"""A real SLURM on this machine for as long as the tests need it: munged, slurmctld, slurmds.

Everything lies in one folder; nothing of /etc is read or written. Two nodes of the one machine with
four pretend GPUs each: device files that are /dev/zero. Needs root and Debian's
packages slurmctld, slurmd, slurm-client and munge; with an accounting database slurmdbd and
mariadb-server-core too.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "my_print_defaults", "sacctmgr")
ACCOUNT = "lab"
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NODES = ("n1", "n2")
GPUS = 4  # a node


def missing(accounting: bool = False) -> str:
    """Why no cluster can be started here, "" if one can."""
    if os.getuid() != 0:
        return "slurmd runs jobs of users, which only root may"
    programs = PROGRAMS + (ACCOUNTING if accounting else ())
    absent = [name for name in programs if shutil.which(name, path=SYSTEM_PATH) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


class Cluster:
    """The daemons and how to ask them. `environment` is what its clients need.

    accounting: keep jobs in a database, and take none without an account.
    """

    def __init__(self, folder: Path, accounting: bool = False) -> None:
        self.folder = folder
        self.accounting = accounting
        self.conf = folder / "slurm.conf"
        self.daemons: list[subprocess.Popen] = []
        (folder / "bin").mkdir(parents=True)
        (folder / "state").mkdir()
        # Snakemake's job step keeps no SLURM_CONF for the srun inside of it.
        shim = folder / "bin" / "srun"
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec /usr/bin/srun "$@"\n')
        shim.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}:{SYSTEM_PATH}",
            "SLURM_CONF": str(self.conf),
        }

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if self.daemons:
                self.ask("scancel", "--user=root", "--signal=KILL", check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons.clear()

    def ask(self, *command: str, check: bool = True) -> str:
        """The output of one of SLURM's programs."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def jobs(self, *states: str) -> list[dict[str, str]]:
        """All jobs of this cluster, finished ones too: id, state, comment (Snakemake's rule)."""
        listed = self.ask("squeue", "--noheader", "--states=all", "--format=%i|%T|%k|%b|%N|%D")
        keys = ("id", "state", "comment", "gpus", "node", "nodes")
        found = [dict(zip(keys, line.split("|"), strict=True)) for line in listed.splitlines()]
        return [job for job in found if not states or job["state"] in states]

    def _start(self) -> None:
        self._configure()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self._daemon(
            *("munged", "--foreground", "--force", f"--key-file={key}"),
            *(f"--socket={self.folder}/munge.sock", f"--pid-file={self.folder}/munged.pid"),
            *(f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed"),
        )
        self._wait(lambda: (self.folder / "munge.sock").exists(), "munged")
        if self.accounting:
            self._start_database()
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.conf))
        for node in NODES:
            self._daemon("slurmd", "-D", "-c", "-f", str(self.conf), "-N", node)
        ready = ("sinfo", "--noheader", "--Node", "--format=%T")
        self._wait(lambda: self.ask(*ready, check=False).split() == ["idle"] * len(NODES), "nodes")

    def _start_database(self) -> None:
        """MariaDB, slurmdbd, and in it this cluster with one account."""
        data, socket_file = self.folder / "database", self.folder / "database.sock"
        install = ("mariadb-install-db", "--user=root", f"--datadir={data}")
        self.ask(*install, "--auth-root-authentication-method=normal", "--skip-test-db")
        self._daemon(
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}"),
            *(f"--port={self.ports['database']}", "--bind-address=127.0.0.1"),
            *(f"--socket={socket_file}", f"--pid-file={self.folder}/database.pid"),
        )
        self._wait(socket_file.exists, "mariadbd")
        self._daemon("slurmdbd", "-D")
        register = ("sacctmgr", "--immediate", "add", "cluster", "test")
        self._wait(lambda: self.succeeds(*register), "slurmdbd")
        self.ask("sacctmgr", "--immediate", "add", "account", ACCOUNT)
        self.ask("sacctmgr", "--immediate", "add", "user", "root", f"account={ACCOUNT}")

    def succeeds(self, *command: str) -> bool:
        """Whether one of SLURM's programs ends well."""
        return subprocess.run(command, env=self.environment, capture_output=True).returncode == 0

    def _daemon(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "ab") as sink:
            self.daemons.append(
                subprocess.Popen(
                    command, env=self.environment, stdout=sink, stderr=sink, start_new_session=True
                )
            )

    def _wait(self, condition, what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [daemon.args for daemon in self.daemons if daemon.poll() is not None]
            if dead or time.monotonic() > deadline:
                words = "".join(p.read_text()[-1500:] for p in sorted(self.folder.glob("*.out")))
                raise RuntimeError(f"{what} did not start; ended: {json.dumps(dead)}\n{words}")
            time.sleep(0.1)

    def _configure(self) -> None:
        host = socket.gethostname()
        controller, database, accounts, *ports = free_ports(3 + len(NODES))
        self.ports = {"database": database}
        folder = self.folder
        storage = ["AccountingStorageType=accounting_storage/none"]
        if self.accounting:
            storage = [
                "AccountingStorageType=accounting_storage/slurmdbd",
                "AccountingStorageHost=127.0.0.1",
                f"AccountingStoragePort={accounts}",
                f"AccountingStoragePass={folder}/munge.sock",
                "AccountingStorageEnforce=associations",
            ]
            self._configure_database(database, accounts)
        lines = [
            "ClusterName=test",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={controller}",
            "SlurmUser=root",
            "SlurmdUser=root",
            "AuthType=auth/munge",
            # A requeued job waits until its old credential has expired: two minutes, unless told.
            f"AuthInfo=socket={folder}/munge.sock,cred_expire=15",
            "MpiDefault=none",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "JobAcctGatherType=jobacct_gather/none",
            *storage,
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core_Memory",
            "GresTypes=gpu",
            "ReturnToService=2",
            "MinJobAge=3600",
            "KillWait=5",
            "SlurmdParameters=config_overrides",
            "SchedulerParameters=sched_interval=2,batch_sched_delay=0",
            f"StateSaveLocation={folder}/state",
            f"SlurmdSpoolDir={folder}/spool-%n",
            f"SlurmctldPidFile={folder}/slurmctld.pid",
            f"SlurmdPidFile={folder}/slurmd-%n.pid",
            f"SlurmctldLogFile={folder}/slurmctld.log",
            f"SlurmdLogFile={folder}/slurmd-%n.log",
        ]
        gres = []
        for node, port in zip(NODES, ports, strict=True):
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=8 "
                f"RealMemory=20000 Gres=gpu:h200:{GPUS} State=UNKNOWN"
            )
            devices = folder / "dev" / node
            devices.mkdir(parents=True)
            for number in range(GPUS):
                os.mknod(devices / f"nvidia{number}", 0o666 | 0o020000, os.makedev(1, 3))
            gres.append(f"NodeName={node} Name=gpu Type=h200 File={devices}/nvidia[0-{GPUS - 1}]")
        lines.append(f"PartitionName=gpu Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE")
        self.conf.write_text("\n".join(lines) + "\n")
        (folder / "gres.conf").write_text("\n".join(gres) + "\n")

    def _configure_database(self, database: int, accounts: int) -> None:
        conf = self.folder / "slurmdbd.conf"  # found beside slurm.conf
        lines = [
            "AuthType=auth/munge",
            f"AuthInfo=socket={self.folder}/munge.sock",
            "DbdHost=localhost",
            "DbdAddr=127.0.0.1",
            f"DbdPort={accounts}",
            "SlurmUser=root",
            "StorageType=accounting_storage/mysql",
            "StorageHost=127.0.0.1",
            f"StoragePort={database}",
            "StorageUser=root",
            f"LogFile={self.folder}/slurmdbd.log",
            f"PidFile={self.folder}/slurmdbd.pid",
        ]
        conf.write_text("\n".join(lines) + "\n")
        conf.chmod(0o600)
