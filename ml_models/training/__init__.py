"""From labelled rows to a judged candidate.

Who calls whom:

    splits.split_training_set     labelled rows -> train, gap and holdout
    recipe.recipe_fingerprint     has this been judged before?
    gate.evaluate_candidate       the entry: everything below, in this order
        search.search             parameters of each family; calls splits.inner_split, fitting and baselines
        choice.simplest_unbeaten  which family is the candidate
        search.finish             its evidence on the holdout, and its fit on all rows
        champion_challenge        candidate and champion on the same rows
        gate.judge                the verdicts; calls behaviour

`search.simplest_recipe` is for where there is no champion. Import from the files: this package stays empty, because
`ml_models/monitoring` needs `splits` alone and must not load the rest.
"""
