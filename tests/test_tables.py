"""Do tables hold their cells, whatever is in them?"""

from fairseq_summarymixing.tables import aligned, markdown


def test_markdown_puts_numbers_on_the_right_and_keeps_bars():
    text = markdown(["run", "WER"], [["a|b", "1.0"]], text_columns=[0])
    assert text == "| run | WER |\n| --- | ---: |\n| a\\|b | 1.0 |\n"


def test_aligned_columns_are_as_wide_as_their_widest_cell():
    lines = aligned(["part", "new"], [["encoder", "1,000"], ["", "7"]]).splitlines()
    assert lines == ["part       new", "encoder  1,000", "             7"]
