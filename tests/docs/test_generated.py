from experiments.docs.__main__ import main


def test_generated_pages_are_what_the_code_says(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_page_that_is_not_is_named(tmp_path, capsys):
    assert main([], docs=tmp_path) == 0
    assert main(["--check"], docs=tmp_path) == 0
    page = tmp_path / "reference" / "metrics.md"
    page.write_text(page.read_text() + "typed by hand\n")
    assert main(["--check"], docs=tmp_path) == 1
    assert "not what the code says: reference/metrics.md;" in capsys.readouterr().out
