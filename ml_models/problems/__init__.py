"""The questions that are asked of the data.

`contract` says what a problem must state, and everything else in `ml_models/` knows no more of a problem than that.
`about` finds the questions that there are. Each has a folder: `features` is the contract of its frame, `problem` its
constants, candidates and recipe version. `spend` reads the frame of `lapse`.
"""
