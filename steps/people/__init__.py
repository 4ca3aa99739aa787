"""What people read of a week, whoever shows it: the pages of `app`, and the report that a run writes.

`copy` asks the published tables, `words` says what a week and a figure mean, `week` is what both tell of the newest
one, `call_list` is the file of whom to call, `report` writes the report, and `templates` are what both show.
"""
