"""What packing does with very many pieces; what it does to documents is tested with `knowledge.chunking`."""

from knowledge.packing import Packer, Piece
from tests.knowledge.fakes import word_tokenizer


def test_any_number_of_pieces_without_tokens_is_packed_at_once() -> None:
    """Characters that a tokenizer drops."""
    packer = Packer(word_tokenizer(), capacity=200_000, minimum=8)
    pieces = [Piece("x\n\n", 0, line, "paragraph") for line in range(150_000)]
    ((whole,),) = packer.pack_all([pieces])
    assert whole.text == "x\n\n" * 150_000


def test_more_texts_than_are_cut_into_tokens_at_once_are_counted_in_order() -> None:
    packer = Packer(word_tokenizer(), capacity=60, minimum=8)
    assert packer.count(["a " * (n % 7) for n in range(2_500)]) == [n % 7 for n in range(2_500)]
