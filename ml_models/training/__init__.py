"""From labelled rows to a judged candidate: splits, search, baselines, the gate, champion against challenger."""
