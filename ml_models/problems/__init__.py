"""The questions that are asked: `contract` says what a problem is; a folder for each."""
