import os
import threading
import time

from bo_shaping.storage.file_locks import is_held, try_hold


def test_a_lock_is_held_once_and_freed_on_close(tmp_path):
    path = tmp_path / "lock"
    assert not is_held(path)
    with path.open("w") as first, path.open("w") as second:
        assert try_hold(first)
        assert is_held(path)
        assert not try_hold(second)
    assert not is_held(path)


def test_asking_never_keeps_anyone_from_holding(tmp_path):
    path, stop = tmp_path / "lock", threading.Event()
    path.touch()

    def ask():
        while not stop.is_set():
            is_held(path)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(300):
            with path.open("r+") as file:
                assert try_hold(file)
    finally:
        stop.set()
        asker.join()


def test_a_forked_process_does_not_keep_the_lock_of_its_parent(tmp_path):
    path = tmp_path / "lock"
    reader, writer = os.pipe()
    with path.open("w") as file:
        assert try_hold(file)
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent closes its end
            os._exit(0)
        assert is_held(path)
    try:
        # The child may not have let go yet; a lock that it kept would be kept for as long as the parent waits.
        for _ in range(500):
            if not is_held(path):
                break
            time.sleep(0.02)
        assert not is_held(path)
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)
