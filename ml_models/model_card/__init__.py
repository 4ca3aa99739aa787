"""A model's card: from facts about a registered version to sections, whether they are complete, and pages.

`facts` is what has to be gathered, `card` what a card is, `made` and `since` write its sections, `annex_iv` maps them
to the headings of the EU's regulation, `rendering` makes Markdown and HTML of the same card.
"""
