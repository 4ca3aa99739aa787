"""The next-product problem: which product types a customer will buy within the horizon, as a list of ten.

`pairs` names what is known of a customer and a type; `rankings` makes lists, `measures` holds them against what was
bought; `baselines` are the rules to beat, `behaviour` is what people expect of any list, `training` fits and judges.
"""
