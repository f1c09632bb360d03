"""The pages on clusters: each command that can run on one machine is run; small programs play the batch system."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from helpers.project.pages import ROOT, code_blocks, commands_in
from helpers.tiny_model import write_case

from nnunet_hetero.cli.cluster import beforehand, mapped
from nnunet_hetero.cli.main import main
from nnunet_hetero.training.interruption.stop_signals import MAX_TIME_VARIABLE

TRAINING = ROOT / "docs/how-to/train-on-a-cluster.md"
PREDICTION = ROOT / "docs/how-to/predict-thousands-of-cases.md"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scripts for bash, signals, /proc")


def block_with(page: Path, text: str) -> str:
    """The only block of shell on a page that has this in it."""
    (block,) = (block for block in code_blocks(page, "bash") if text in block)
    return block


def commands_with(page: Path, *words: str) -> list[list[str]]:
    """The commands of a page that begin with these words."""
    found = commands_in("\n".join(code_blocks(page, "bash")))
    return [command for command in found if tuple(command[: len(words)]) == words]


def wait_for(what, process: subprocess.Popen | None = None) -> None:
    """Until something is true; a process that ends meanwhile has failed."""
    end = time.monotonic() + 300
    while not what():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.01)


def hears(pid: int, number: int) -> bool:
    """Whether a process has set a trap for a signal."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Function that writes a program of bash into a folder of PATH; they run in another one, which is returned."""
    folder, here = tmp_path / "programs", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.chdir(here)

    def write(name: str, text: str) -> Path:
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
        return here

    return write


class TestScripts:
    """The files for SLURM of the page on trainings, with a command that only waits for its signal."""

    @pytest.mark.parametrize(("text", "job"), [("#SBATCH --array=0-4", "7_3"), ("#SBATCH --nodes=2", "7")])
    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, None])
    def test_a_warned_training_is_queued_again(self, programs, text, job, number):
        """SLURM warns the script (``B:``) or, without ``B:``, the tasks of srun; whoever ends the job sends SIGTERM."""
        if number == signal.SIGTERM and job == "7":
            pytest.skip("the script does not hear it")
        warned = number is not None
        trap = "sleep 60 & sleeper=$!; trap 'kill $sleeper; exit 75' USR1 TERM" if warned else ""
        programs("nnunet_hetero", f"{trap}\necho $$ $MASTER_ADDR $@ > called\nwait")
        programs("srun", 'shift\nexec "$@"')
        here = programs("scontrol", 'if [ $1 = show ]; then echo node1; echo node2; else echo "$@" > scontrol; fi')
        script = block_with(TRAINING, text)
        variables = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "7"}
        variables["SLURM_JOB_NODELIST"] = "node[1-2]"
        with subprocess.Popen(["bash", "-c", script], env={**os.environ, **variables}) as process:
            if warned:
                wait_for(lambda: (here / "called").is_file() and (here / "called").read_text().endswith("\n"), process)
                task = int((here / "called").read_text().split()[0])
                warn = process.pid if "--signal=B:USR1" in script else task
                wait_for(lambda: hears(warn, number), process)
                os.kill(warn, number)
        _, *words = (here / "called").read_text().split()
        fold = ["train", "501", "3d_fullres", "3" if job == "7_3" else "0", "--auto-continue"]
        assert words == (fold if job == "7_3" else ["node1", *fold])
        assert process.returncode == (75 if warned else 0)
        assert (here / "scontrol").is_file() == (number == signal.SIGUSR1)
        assert number != signal.SIGUSR1 or (here / "scontrol").read_text() == f"requeue {job}\n"


class TestJobArrays:
    @pytest.mark.parametrize("page", [TRAINING, PREDICTION], ids=lambda page: page.stem)
    def test_each_is_submitted_or_printed(self, programs, monkeypatch, capsys, page):
        looked_at = []
        monkeypatch.setattr(beforehand, "require_possible", lambda command, _: looked_at.append(command))
        here = programs("sbatch", 'cp "$1" submitted; echo Submitted batch job 7')
        (here / "slurm.yaml").write_text(code_blocks(PREDICTION, "yaml")[0], encoding="utf-8")
        commands = commands_with(page, "nnunet_hetero", "submit")
        assert len(commands) == {TRAINING: 2, PREDICTION: 3}[page]
        for _, *arguments in commands:
            (here / "submitted").unlink(missing_ok=True)
            assert main(arguments) == 0
            printed = capsys.readouterr().out
            if "--print" in arguments:
                assert (
                    printed.startswith("#!/bin/bash\n#SBATCH") and not (here / "submitted").exists() and not looked_at
                )
                continue
            assert "Submitted batch job 7" in printed
            assert looked_at.pop() in arguments and not looked_at
            if "predict" in arguments:
                assert (here / "submitted").read_text().startswith(block_with(PREDICTION, "--array=0-19"))

    def test_the_command_that_gives_the_cases_out(self, programs, tmp_path):
        """`map.sbatch`, with a command that says what it was asked."""
        here = programs("nnunet_hetero", 'echo "$nnUNet_results $@" > called')
        (tmp_path / "activate").touch()
        script = block_with(PREDICTION, "#SBATCH --job-name=map").replace("/shared/venv/bin", str(tmp_path))
        subprocess.run(["bash", "-e", "-c", script], check=True)
        called = "/shared/nnUNet_results map predict -i /shared/IN -o /shared/OUT -d 501 -c 3d_fullres -f 0"
        assert (here / "called").read_text() == f"{called} --continue_prediction --cluster slurm.yaml\n"


@pytest.fixture
def started():
    """A list of processes, which end with the test."""
    processes: list[subprocess.Popen] = []
    yield processes
    for process in reversed(processes):
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_prediction_that_is_interrupted_and_goes_on_elsewhere(nnunet_folders, tmp_path, monkeypatch, started):
    """With two cases at a time here, until Ctrl-C; then on a scheduler and a worker that were started by hand."""
    pytest.importorskip("distributed")
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnunet_hetero.cluster.workplace.SECONDS_TO_COME", 300)
    monkeypatch.setattr("nnunet_hetero.cluster.connection.SECONDS_TO_ANSWER", 60)
    names = [f"case_{number:02d}" for number in range(40)]  # many, so that most are left when Ctrl-C comes
    for number, name in enumerate(names):
        write_case(tmp_path / "IN", name, seed=number)
    flags = ["-device", "cpu", "--num_samples", "2"]
    out = tmp_path / "OUT"

    words = commands_with(PREDICTION, "nnunet_hetero", "map", "predict")[0][1:]
    assert words[-2:] == ["--cluster", "local"]
    command = [sys.executable, "-m", "nnunet_hetero", *words, *flags, "--cases_per_worker", "2"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    # Where the tests themselves run in the background, Ctrl-C would be ignored by all that they start.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, start_new_session=True, preexec_fn=heard, **pipes) as process:
        wait_for(lambda: len(list(out.glob("case_*.nii.gz"))) > 2, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said = process.stderr.read()
    assert process.returncode == 130 and "Stopped by Ctrl-C" in said, said
    wait_for(lambda: not processes_of_session(process.pid))
    assert 3 <= len(list(out.glob("case_*.nii.gz"))) < len(names)
    booked = json.loads((out / "modalities.json").read_text()) if (out / "modalities.json").is_file() else {}
    times = {case: (out / f"{case}.nii.gz").stat().st_mtime_ns for case in booked}

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    block = block_with(PREDICTION, "dask scheduler").replace("head:8786", f"127.0.0.1:{port}").replace("8786", port)
    for words in commands_in(block):
        if words[0] == "nnunet_hetero":
            assert "--tls" in words
            assert main([*words[1:], "-f", "0", *flags, "--continue_prediction"]) == 0
        elif words[0] == "dask":
            own = ["--host", "127.0.0.1", "--no-dashboard"]
            started.append(subprocess.Popen([sys.executable, "-m", "dask", *words[1:], *own]))
            if words[1] == "scheduler":
                wait_for(lambda: is_open(int(port)), started[-1])
        else:
            subprocess.run(words, check=True, capture_output=True)
    assert len(started) == 2
    assert {case: (out / f"{case}.nii.gz").stat().st_mtime_ns for case in booked} == times

    plain = ["predict", "-i", "IN", "-o", "plain", "-d", "501", "-c", "3d_fullres", "-f", "0", *flags]
    assert main([*plain, "-npp", "0", "-nps", "0"]) == 0
    for name in [*(f"{name}.nii.gz" for name in names), "modalities.json", "volumes.csv"]:
        assert (out / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def processes_of_session(session: int) -> list[int]:
    """Those that live."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own, *_ = file.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(own) == session and state != "Z":
            found.append(int(file.parent.name))
    return found


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_training_on_a_worker_is_trained_once(tiny_dataset, tmp_path, monkeypatch, capsys):
    """One fold of ``map train``, whole; the other commands of the pages find that it is done."""
    pytest.importorskip("distributed")
    tiny_dataset.use(monkeypatch, tmp_path / "results")
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    command = commands_with(PREDICTION, "nnunet_hetero", "map", "train")[0]
    assert command[-8:] == ["3d_fullres", *"01234", "--cluster", "slurm.yaml"]
    assert main([*command[1:-6], "--cluster", "local", "--workers", "1", "-device", "cpu"]) == 0
    assert "1 training(s), 0 of them are done already" in capsys.readouterr().out
    (checkpoint,) = (tmp_path / "results").rglob("checkpoint_final.pth")
    assert (checkpoint.parent / "validation" / "summary.json").is_file()
    monkeypatch.setenv(MAX_TIME_VARIABLE, "01:00")  # is put back after the test
    trainings = [words for words in commands_with(TRAINING, "nnunet_hetero", "train") if words[4] == "0"]
    assert len(trainings) == 2 and trainings[1][-2:] == ["--max_time", "23:50"]
    for _, *words in trainings:
        assert main([*words, "-device", "cpu"]) == 0
        assert "is trained and validated" in capsys.readouterr().out


def test_plans_are_a_training_each(nnunet_folders, tmp_path, monkeypatch):
    """The command of the page for several plans, up to what it hands to the workers."""
    pytest.importorskip("distributed")
    given = {}
    monkeypatch.setattr(mapped, "require_possible", lambda *_: None)
    monkeypatch.setattr(mapped, "plans_file", lambda _, plans: tmp_path / f"{plans}.json")
    words = commands_with(PREDICTION, "nnunet_hetero", "map", "train")[1]
    assert words[-2:] == ["--cluster", "slurm.yaml"]
    for plans in ("nnUNetPlans_T1", "nnUNetPlans_T2"):
        (tmp_path / f"{plans}.json").write_text("{}")
    monkeypatch.setattr(
        "nnunet_hetero.cluster.map_train.map_trainings", lambda _, all_of, __: given.update(all_of) or {}
    )
    assert mapped.train(None, words[3:-2]) == 0
    own = [training.arguments for training in given.values()]
    assert [words[words.index("-p") + 1] for words in own] == ["nnUNetPlans_T1", "nnUNetPlans_T2"]
    assert all(words[:5] == ("501", "3d_fullres", "0", "-tr", "SubsetTrainer") for words in own)
    assert all("--auto-continue" in words for words in own)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_nodes_by_the_line_of_the_page(tiny_dataset, tmp_path, monkeypatch, started):
    """Two nodes that are this machine, with one process each."""
    tiny_dataset.use(monkeypatch, tmp_path / "results")
    monkeypatch.setenv("nnUNet_def_n_proc", "1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    ((_, *line),) = commands_with(TRAINING, "torchrun")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = {"4": "1", "node1:29500": f"127.0.0.1:{free.getsockname()[1]}"}
    words = [here.get(word, word) for word in line]
    assert words[:4] == ["--nnodes", "2", "--nproc-per-node", "1"] and here["node1:29500"] in words
    node = [sys.executable, "-m", "torch.distributed.run", "--local-addr", "127.0.0.1", *words, "-device", "cpu"]
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    for log in logs:
        with log.open("wb") as stream:
            started.append(subprocess.Popen(node, stdout=stream, stderr=stream))
    codes = [process.wait(900) for process in started]
    assert codes == [0, 0], "\n\n".join(log.read_text(errors="replace")[-5000:] for log in logs)
    (checkpoint,) = (tmp_path / "results").rglob("checkpoint_final.pth")
    assert (checkpoint.parent / "validation" / "summary.json").is_file()
    assert len(list(checkpoint.parent.glob("training_log*.txt"))) == 1
