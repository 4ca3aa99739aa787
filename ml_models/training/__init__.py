"""From labelled rows to a judged candidate.

Who calls whom:

    splits.split_training_set     labelled rows -> train, gap and holdout
    recipe.recipe_fingerprint     has this been judged before?
    gate.evaluate_candidate       the entry: everything below, in this order
        search.train              search, fit, score the holdout; calls splits.inner_split and baselines
        champion_challenge        candidate and champion on the same rows
        gate.judge                the verdicts; calls behaviour

`search.simplest_recipe` is for where there is no champion. Import from the files: this package stays empty, because
`ml_models/monitoring` needs `splits` alone and must not load the rest.
"""
