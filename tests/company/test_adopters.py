"""Which tests an adopter's clone runs: the lists hold files that are there."""

from support.adopters import ABOUT_IT, NEED_AN_EXAMPLE, TESTS


def test_every_listed_file_and_folder_is_there() -> None:
    assert [name for name in (*ABOUT_IT, *NEED_AN_EXAMPLE) if not (TESTS / name).exists()] == []
