import json
import socket
import threading
import time
from importlib import metadata

import pytest

from easyseg.errors import ConfigError, TrainingError
from easyseg.training import workers
from easyseg.training.config import TrainConfig
from easyseg.training.fine_tune import join_workers
from easyseg.training.rendezvous import Cluster, cluster_of, make_cluster, meet, versions


@pytest.fixture
def addresses():
    """Two free ports of this machine."""
    servers = [socket.create_server(("", 0)) for _ in range(2)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return tuple(f"localhost:{port}" for port in ports)


@pytest.fixture(autouse=True)
def wait(monkeypatch):
    monkeypatch.setenv("EASYSEG_WORKERS_WAIT", "20")


def outcomes(*clusters):
    """What `meet` raises for each of some processes, here threads that start at once."""
    raised = [None] * len(clusters)

    def run(number):
        try:
            meet(clusters[number])
        except TrainingError as error:
            raised[number] = str(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(clusters))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def tf_config(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_tf_config():
    task = {"type": "worker", "index": 1}
    assert cluster_of(tf_config({"worker": ["a:1", "b:2"]}, task)) == Cluster(("a:1", "b:2"), 1)
    assert cluster_of({}) is None
    alone = tf_config({"worker": ["a:1"]}, {"type": "worker", "index": 0})
    assert cluster_of(alone) is None
    made = make_cluster(["a:1", "b:2"], 1)
    assert cluster_of(made.to_environment()) == made


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"TF_CONFIG is malformed: expected \{\"cluster\": .*, got '\{'"),
        ("[]", "TF_CONFIG is malformed"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "TF_CONFIG is malformed"),
        (tf_config({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": "x"}), "malformed"),
        (tf_config({"worker": ["a:1", "b:2"]}, {"type": "ps", "index": 0}), "tasks of type ps"),
        (
            tf_config({"chief": ["c:1"], "worker": ["a:1"]}, {"type": "worker", "index": 0}),
            "tasks of type chief; easyseg trains with tasks of type worker only",
        ),
        (
            tf_config({"worker": ["a:1", "b:2"]}, {"type": "worker", "index": 2}),
            "TF_CONFIG: rank=2 must be from 0 to 1: there are 2 workers",
        ),
        (
            tf_config({"worker": ["a:1", "b"]}, {"type": "worker", "index": 0}),
            "TF_CONFIG: workers: expected host:port for each, such as node1:2222, got 'b'",
        ),
    ],
)
def test_tf_config_that_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        cluster_of(text if isinstance(text, dict) else {"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        (["a:1", "a:1"], "a:1 is listed twice"),
        (["a:1"], "expected two or more, with commas, got a:1"),
        (["a:1", "b:70000"], "expected host:port .* got 'b:70000'"),
        (["a:1", ":2"], "expected host:port .* got ':2'"),
    ],
)
def test_addresses_that_are_wrong(addresses, message):
    with pytest.raises(ConfigError, match=message):
        make_cluster(addresses, 0)


def test_they_meet_in_any_order(addresses):
    assert outcomes(Cluster(addresses, 1), Cluster(addresses, 0)) == [None, None]


def test_strangers_are_ignored(addresses):
    """What connects to the port and speaks another language, or hangs up, is not a worker."""
    port = int(addresses[0].rpartition(":")[2])

    def strange():
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b""):
            for _ in range(100):
                try:
                    with socket.create_connection(("localhost", port), timeout=1) as connection:
                        connection.sendall(content)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)

    stranger = threading.Thread(target=strange)
    stranger.start()
    assert outcomes(Cluster(addresses, 0), Cluster(addresses, 1)) == [None, None]
    stranger.join()


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (0, r"after 0.5 seconds there is no worker 1 \(localhost:\d+\); start all workers within"),
        (1, r"worker 1 waited 0.5 seconds for worker 0, localhost:\d+ \(.*refused\); start all"),
    ],
)
def test_a_worker_that_never_comes(addresses, monkeypatch, rank, message):
    monkeypatch.setenv("EASYSEG_WORKERS_WAIT", "0.5")
    with pytest.raises(TrainingError, match=message):
        meet(Cluster(addresses, rank))


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf"])
def test_a_waiting_time_that_is_wrong(addresses, monkeypatch, text):
    monkeypatch.setenv("EASYSEG_WORKERS_WAIT", text)
    with pytest.raises(ConfigError, match=r"EASYSEG_WORKERS_WAIT='.*' must be a number of seconds"):
        meet(Cluster(addresses, 0))


def test_a_port_in_use(addresses):
    port = int(addresses[1].rpartition(":")[2])
    with (
        socket.create_server(("", port)),
        pytest.raises(TrainingError, match=rf"worker 1 cannot use port {port} .* another port"),
    ):
        meet(Cluster(addresses, 1))


def test_other_workers_than_the_chief_has(addresses):
    other = Cluster((addresses[0], addresses[1], "elsewhere:1"), 1)
    chief, worker = outcomes(Cluster(addresses, 0), other)
    assert chief == worker
    assert chief.startswith(f"worker 1 was started with the workers {list(other.workers)}")


def test_another_version(addresses, monkeypatch):
    real = metadata.version

    def version(package):
        is_worker = threading.current_thread().name == "other"
        return "0.9" if package == "easyseg" and is_worker else real(package)

    monkeypatch.setattr("easyseg.training.rendezvous.metadata.version", version)
    errors = []

    def other():
        try:
            meet(Cluster(addresses, 1))
        except TrainingError as error:
            errors.append(str(error))

    thread = threading.Thread(target=other, name="other")
    thread.start()
    with pytest.raises(TrainingError, match=r"worker 1 has easyseg 0.9, worker 0 has .*; install"):
        meet(Cluster(addresses, 0))
    thread.join()
    assert errors[0].startswith("worker 1 has easyseg 0.9")


def test_two_processes_of_one_rank(addresses):
    """They have a machine each, so that their port is free."""
    line = json.dumps(
        {
            "rank": 1,
            "workers": [*addresses, "elsewhere:1"],
            "versions": versions(),
        }
    )
    port = int(addresses[0].rpartition(":")[2])
    answers = []

    def greet():
        for _ in range(2):
            while True:
                try:
                    connection = socket.create_connection(("localhost", port), timeout=10)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            connection.sendall(line.encode() + b"\n")
            answers.append(connection)

    thread = threading.Thread(target=greet)
    thread.start()
    with pytest.raises(TrainingError, match="two processes are worker 1; give each"):
        meet(Cluster((*addresses, "elsewhere:1"), 0))
    thread.join()
    for connection in answers:
        assert b"two processes are worker 1" in connection.recv(1000)
        connection.close()


def test_workers_must_be_named(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    message = "the addresses .* `easyseg launch`, or each with `easyseg train`"
    with pytest.raises(ConfigError, match=message):
        join_workers({"distribute": "multi_worker"})
    assert join_workers({}) is workers.ALONE


def test_wrong_options_are_told_before_workers_are_awaited():
    with pytest.raises(ConfigError, match="epochs=0"):
        join_workers({"distribute": "multi_worker", "epochs": 0})


def test_workers_join_before_tensorflow_is_used(addresses, monkeypatch):
    import tensorflow as tf

    tf.constant(1)
    monkeypatch.setenv("TF_CONFIG", Cluster(addresses, 0).to_environment()["TF_CONFIG"])
    with pytest.raises(ConfigError, match="must come first: TensorFlow, which this process has"):
        join_workers({"distribute": "multi_worker"})


def test_backends_without_workers(addresses, monkeypatch):
    monkeypatch.setattr(workers, "backend", lambda: "jax")
    monkeypatch.setenv("TF_CONFIG", Cluster(addresses, 1).to_environment()["TF_CONFIG"])
    with pytest.raises(ConfigError, match="backend 'jax'; set KERAS_BACKEND=tensorflow"):
        join_workers({"distribute": "multi_worker"})


@pytest.mark.parametrize("value", [True, "mirrored", 2])
def test_distribute_is_one_of_three(value):
    with pytest.raises(ConfigError, match=r"distribute=.*none, auto, multi_worker"):
        TrainConfig(distribute=value)
