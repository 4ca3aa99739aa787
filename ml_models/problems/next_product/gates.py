"""The gates of next product: what a candidate must pass, in words; read without heavy packages."""

from collections.abc import Mapping

GATES: Mapping[str, str] = {
    "beats_personal_frequency": "Its lists have a higher nDCG@10 than GP-TopFreq's on the same customers and cutoffs, "
    "beyond noise (95 % interval, bootstrap over customers).",
    "no_worse_than_long_frequency": "Its lists are no worse than personal frequency over four look-backs, beyond "
    "noise: a longer memory is the harder rule.",
    "beats_neighbours": "Its lists are no worse than those of the neighbour method, beyond noise.",
    "beats_serving_model": "Its lists are no worse than the serving version's recipe on the same rows, beyond noise.",
    "finds_new_types": "It finds no fewer of the types that are new to a customer than GP-TopFreq does, beyond noise.",
    "twins_change_little": "A near twin in the place of a type changes little.",
    "older_habit_counts": "Without the newest shopping day, a list moves towards the older habits.",
    "all_can_be_bought": "No list names what nobody buys, or a type twice.",
    "not_the_popular_alone": "Lists reach beyond what most customers buy.",
    "strangers_get_the_popular": "A customer of one shopping day gets what most customers buy.",
}
"""What a candidate must pass to be promoted, with what each holds true."""
