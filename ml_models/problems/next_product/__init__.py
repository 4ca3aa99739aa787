"""The next-product problem: which product types a customer will buy within the horizon, as a list of ten.

`pairs` names what is known of a customer and a type; `rankings` makes lists, `measures` holds them against what was
bought; `baselines` are the rules to beat, `behaviour` is what people expect of any list, `training` fits and judges;
`problem` says what a reader of its cards must know. Nothing heavy is imported here.
"""

from ml_models.problems.about import About

ABOUT = About(
    name="next_product",
    kind="ranking",
    outcome="bought",
    predicts="which product types the customer is expected to buy within the horizon, best first",
    unit="places",
    made_by="ml_models.problems.next_product.problem:next_product",
    needs=frozenset({"product_types"}),
)
