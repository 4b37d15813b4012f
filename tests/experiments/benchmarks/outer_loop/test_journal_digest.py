import json

from experiments.benchmarks.outer_loop.journal_digest import digest, main


def write(path, seconds=1.0, mean=0.5, driver="process 1 on here"):
    record = {"index": 0, "mean": mean, "seconds": seconds}
    lines = [
        {"crc": str(seconds), "fence": 1, "kind": "opened", "content": {"driver": driver}},
        {"crc": str(mean), "fence": 1, "kind": "trial", "content": {"record": record}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_times_and_processes_do_not_count_and_numbers_do(tmp_path, capsys):
    before = write(tmp_path / "before")
    later = write(tmp_path / "later", seconds=2.0, driver="process 2 on there")
    other = write(tmp_path / "other", mean=0.50001)
    assert digest(before) == digest(later) != digest(other)
    assert main([str(before), str(later)]) == 0
    assert main([str(before), str(other)]) == 1
    assert "differs from line 2 on" in capsys.readouterr().out


def test_a_journal_that_ends_earlier_differs(tmp_path):
    before, shorter = write(tmp_path / "before"), tmp_path / "shorter"
    shorter.write_text(before.read_text().splitlines(keepends=True)[0])
    assert main([str(before), str(shorter)]) == 1
