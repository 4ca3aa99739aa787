"""What can happen to rows, written as SQL (DuckDB's dialect): a drill injects it, attribution re-enacts it.

Each operation is a pure function of the rows: which units are hit is decided by a hash of their values, never at
random, so the same description gives the same rows on every machine and in every process. Units are chosen by `per`
alone (not by operation), so two perturbations with the same `per` and `rate` hit the same units: a fault that affects
three columns of a third of the stores is three perturbations.

`where` is a predicate over the table's columns. In it `{table}` stands for the rows before the perturbation and
`{first_day}`, `{last_day}` for the perturbation's days as date literals, so that a predicate can look at the past;
`{morning}` for the day on which one looks, so that rows can go that were there before.
`{local_time}` is the row's time by the shops' clock, and a column in braces its value as a number or a time, also where
it is stored as text (`forms`):
`buyer in (select buyer from {table} where bought_on < {first_day} group by 1 having count(*) > 9)`.

`operations` says what can happen, `checks` refuses a description that cannot be meant, and `sql` applies it to rows.
"""

from ml_models.faults.checks import check
from ml_models.faults.forms import Form, Forms
from ml_models.faults.operations import OPERATIONS, depends_on_when
from ml_models.faults.sql import perturbed_sql

__all__ = ["OPERATIONS", "Form", "Forms", "check", "depends_on_when", "perturbed_sql"]
